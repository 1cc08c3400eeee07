//! Training and validation parts of a set, and the samples of one part.

use std::ops::Range;
use std::sync::Arc;

use crate::{DataError, Images, Preprocess};

/// A part of a set: consecutive images in the official order, preprocessed when asked for.
#[derive(Clone, Debug)]
pub struct Subset {
    images: Arc<Images>,
    preprocess: Preprocess,
    range: Range<usize>,
}

impl Subset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Number of values of one sample.
    pub fn sample_len(&self) -> usize {
        self.images.image_len()
    }

    /// Writes sample `index` of this part into `out` and returns its label.
    ///
    /// # Panics
    /// If `index` is out of range or `out` is not one sample long.
    pub fn sample(&self, index: usize, out: &mut [f32]) -> usize {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        let index = self.range.start + index;
        self.preprocess.apply(&self.images, index, out);
        self.images.labels[index].into()
    }
}

/// A set cut into a training and a validation part.
#[derive(Clone, Debug)]
pub struct Split {
    /// The whole set.
    pub images: Arc<Images>,
    /// The first `train` images.
    pub train: Subset,
    /// The last `valid` images.
    pub valid: Subset,
}

impl Split {
    /// Cuts the first `train` and the last `valid` images off; what lies between is not used.
    ///
    /// The paper's split of MNIST is 45,000 and 10,000 of 60,000: images 0..45,000 and 50,000..60,000.
    ///
    /// # Errors
    /// [`DataError::Value`] if a part would be empty or the two would overlap.
    pub fn new(
        images: Images,
        preprocess: Preprocess,
        train: usize,
        valid: usize,
    ) -> Result<Self, DataError> {
        let total = images.len();
        let check = |key, found: usize, most: usize| {
            let expected = format!("1 to {most} ({total} images in all)");
            if (1..=most).contains(&found) {
                return Ok(());
            }
            Err(DataError::Value { key, found: found.to_string(), expected })
        };
        check("train", train, total.saturating_sub(1))?;
        check("valid", valid, total - train)?;
        let images = Arc::new(images);
        let part = |range| Subset { images: images.clone(), preprocess: preprocess.clone(), range };
        Ok(Self { train: part(0..train), valid: part(total - valid..total), images })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let labels = vec![0, 1, 2, 3, 4];
        Images { pixels: vec![0, 1, 2, 3, 4], labels, shape: [1, 1, 1], classes: 5, max: 1 }
    }

    fn split(train: usize, valid: usize) -> Result<Split, DataError> {
        Split::new(images(), Preprocess { mean: vec![0.0], std: vec![1.0] }, train, valid)
    }

    #[test]
    fn takes_the_first_and_the_last_images() {
        let split = split(2, 1).unwrap();
        let mut out = [0.0];
        assert_eq!((split.train.sample(1, &mut out), out), (1, [1.0]));
        assert_eq!((split.valid.sample(0, &mut out), out), (4, [4.0]));
    }

    #[test]
    fn refuses_empty_and_overlapping_parts() {
        assert!(matches!(split(0, 1), Err(DataError::Value { key: "train", .. })));
        assert!(matches!(split(5, 1), Err(DataError::Value { key: "train", .. })));
        let text = split(3, 3).unwrap_err().to_string();
        assert_eq!(text, "`data.valid` = 3, expected 1 to 2 (5 images in all)");
        assert!(split(3, 0).is_err());
    }
}
