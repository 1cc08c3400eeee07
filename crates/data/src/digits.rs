//! The built-in set: 1,797 handwritten digits of 8x8 pixels from the UCI repository (E. Alpaydin, C. Kaynak, 1998; CC BY 4.0),
//! included in the program.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::Images;
use crate::class_names::{DIGITS, names};

/// The labels, followed by the pixels, one byte each, gzipped.
const BYTES: &[u8] = include_bytes!("../assets/digits.gz");
const COUNT: usize = 1797;

/// The digits, in the order of scikit-learn's `load_digits`; pixels from 0 to 16.
pub(crate) fn load() -> Images {
    let mut bytes = vec![];
    GzDecoder::new(BYTES).read_to_end(&mut bytes).expect("the program's own file is whole");
    let pixels = bytes.split_off(COUNT);
    Images {
        pixels,
        labels: bytes.into_iter().map(u16::from).collect(),
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
