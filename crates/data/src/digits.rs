//! The built-in set: 1,797 handwritten digits of 8x8 pixels from the UCI repository (E. Alpaydin, C. Kaynak, 1998),
//! as the crate smartcore ships them.

use crate::Images;
use crate::class_names::{DIGITS, names};

/// The digits, in the order of scikit-learn's `load_digits`; pixels from 0 to 16.
pub(crate) fn load() -> Images {
    let set = smartcore::dataset::digits::load_dataset();
    Images {
        // whole numbers from 0 to 16
        pixels: set.data.iter().map(|&x| x as u8).collect(),
        labels: set.target.iter().map(|&y| y as u16).collect(),
        shape: [1, 8, 8],
        classes: names(&[DIGITS]),
        max: 16,
        official: None,
        remarks: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::load;

    #[test]
    fn has_the_known_images() {
        let digits = load();
        assert_eq!((digits.len(), digits.pixels.len()), (1797, 1797 * 64));
        assert_eq!(digits.labels[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(digits.pixels[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        assert_eq!(digits.pixels.iter().max(), Some(&16));
        // scikit-learn's class counts
        let counts = |class| digits.labels.iter().filter(|&&label| label == class).count();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(counts),
            [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
        );
    }
}
