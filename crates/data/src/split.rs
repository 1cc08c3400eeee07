//! Training and validation parts of a set, and the samples of one part.

use std::sync::Arc;

use rand::Rng;

use crate::augment::{Augment, Change};
use crate::division::Division;
use crate::draw::{balanced, mixed};
use crate::part::Part;
use crate::places::Places;
use crate::{DataError, Images, Preprocess};

/// How a set is split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitConfig {
    /// Training part; if `None`, that of the authors, or all images not used for validation.
    pub train: Option<Part>,
    /// Validation part; if `None`, that of the authors, or a sixth of the images, stratified by class.
    pub valid: Option<Part>,
    /// Size of a random subset of the training part, balanced over the classes as far as possible.
    pub subset: Option<usize>,
    /// Seed of the subset.
    pub subset_seed: u64,
    /// Random changes of training images.
    pub augment: Augment,
}

/// A part of a set, preprocessed on demand.
#[derive(Clone, Debug)]
pub struct Subset {
    images: Arc<Images>,
    preprocess: Preprocess,
    /// The images in the order used for training indices.
    places: Places,
    /// The order used for evaluations.
    mixed: Arc<[usize]>,
    augment: Augment,
}

impl Subset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of values of one sample.
    pub fn sample_len(&self) -> usize {
        self.images.image_len()
    }

    /// Whether [`Subset::augmented`] randomly changes samples.
    pub fn is_augmented(&self) -> bool {
        !self.augment.is_none()
    }

    /// Every sample once, mixed over the classes: the order used by fixed evaluations, `samples = N` and gradient descent,
    /// regardless of the order of the files. It is a random order that depends only on the number of samples. Hence any number
    /// of samples from its start, or any chunk of it, is a random draw without replacement, and runs with different seeds use
    /// the same chunks.
    pub fn mixed(&self) -> &[usize] {
        &self.mixed
    }

    /// Writes sample `index` of this part, without augmentation, into `out` and returns its label.
    ///
    /// # Panics
    /// If `index` is out of range or `out` is not one sample long.
    pub fn sample(&self, index: usize, out: &mut [f32]) -> usize {
        self.write(index, Change::default(), out)
    }

    /// Like [`Subset::sample`], but randomly cropped and flipped according to `rng`.
    ///
    /// # Panics
    /// If `index` is out of range or `out` is not one sample long.
    pub fn augmented(&self, index: usize, rng: &mut impl Rng, out: &mut [f32]) -> usize {
        self.write(index, self.augment.draw(rng), out)
    }

    /// Number of samples of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.images.classes.len()];
        self.places.iter().for_each(|image| counts[usize::from(self.images.labels[image])] += 1);
        counts
    }

    fn write(&self, index: usize, change: Change, out: &mut [f32]) -> usize {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        let index = self.places.at(index);
        self.preprocess.apply(&self.images, index, change, out);
        self.images.labels[index].into()
    }
}

/// A set split into a training and a validation part.
#[derive(Clone, Debug)]
pub struct Split {
    /// The whole set.
    pub images: Arc<Images>,
    /// The training part.
    pub train: Subset,
    /// The validation part.
    pub valid: Subset,
}

impl Split {
    /// Splits a set. Images between the two parts are not used: the paper's split of MNIST is images 0..45,000 and
    /// 50,000..60,000. If `preprocess` is `None`, its constants are measured on the training part.
    ///
    /// # Errors
    /// [`DataError::Value`] if a part would be empty or reach past the end, or if the two would overlap.
    pub fn new(
        images: impl Into<Arc<Images>>,
        preprocess: Option<Preprocess>,
        config: &SplitConfig,
    ) -> Result<Self, DataError> {
        let images = images.into();
        let Division { mut train, valid } = Division::new(&images, &config.train, &config.valid)?;
        if let Some(size) = config.subset {
            train = Places::List(balanced(&images, &train, size, config.subset_seed)?);
        }
        let preprocess = preprocess
            .unwrap_or_else(|| Preprocess::measured(&images, (0..train.len()).map(|index| train.at(index))));
        let part = |places: Places, augment| Subset {
            images: images.clone(),
            preprocess: preprocess.clone(),
            mixed: mixed(places.len()).into(),
            places,
            augment,
        };
        let (train, valid) = (part(train, config.augment), part(valid, Augment::default()));
        Ok(Self { train, valid, images })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Official, Rest};

    fn images() -> Images {
        let labels = vec![0, 1, 2, 3, 4];
        Images {
            pixels: vec![0, 1, 2, 3, 4],
            labels,
            shape: [1, 1, 1],
            classes: ["a", "b", "c", "d", "e"].map(String::from).to_vec(),
            max: 1,
            official: None,
            remarks: vec![],
        }
    }

    fn split(train: Part, valid: Part) -> Result<Split, DataError> {
        let config = SplitConfig { train: Some(train), valid: Some(valid), ..SplitConfig::default() };
        Split::new(images(), Some(Preprocess { mean: vec![0.0], std: vec![1.0] }), &config)
    }

    #[test]
    fn takes_the_first_and_the_last_images_or_ranges() {
        let mut out = [0.0];
        let counts = split(Part::Count(2), Part::Count(1)).unwrap();
        assert_eq!((counts.train.sample(1, &mut out), out), (1, [1.0]));
        assert_eq!((counts.valid.sample(0, &mut out), out), (4, [4.0]));
        let ranges = split(Part::Range([2, 5]), Part::Range([0, 2])).unwrap();
        assert_eq!((ranges.train.len(), ranges.train.sample(0, &mut out)), (3, 2));
        assert_eq!((ranges.valid.len(), ranges.valid.sample(0, &mut out)), (2, 0));
        assert_eq!(
            (ranges.train.class_counts(), ranges.valid.class_counts()),
            (vec![0, 0, 1, 1, 1], vec![1, 1, 0, 0, 0])
        );
        let official = Images { official: Some(Official { train: 4, rest: Rest::Validation }), ..images() };
        let usual = Split::new(official, None, &SplitConfig::default()).unwrap();
        assert_eq!((usual.train.len(), usual.valid.len()), (4, 1));
    }

    #[test]
    fn refuses_empty_and_overlapping_parts() {
        let refused = |train, valid| split(train, valid).unwrap_err().to_string();
        assert_eq!(
            refused(Part::Count(0), Part::Count(1)),
            "`data.train` = 0, expected 1 to 4 (5 images in total)"
        );
        assert_eq!(
            refused(Part::Count(3), Part::Count(3)),
            "`data.valid` = images 2..5, expected images that are not in the training part, 0..3"
        );
        assert!(refused(Part::Count(3), Part::Count(0)).contains("`data.valid` = 0"));
        assert!(refused(Part::Range([3, 3]), Part::Count(1)).contains("`data.train` = [3, 3]"));
        assert!(refused(Part::Range([0, 6]), Part::Count(1)).contains("at most 5"));
    }
}
