//! Training and validation parts of a set, and the samples of one part.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::augment::{Augment, Change};
use crate::{DataError, Images, Preprocess};

/// Which images make a part: a number of them, or a range of the official order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A number of images from the start (training) or the end (validation).
    Count(usize),
    /// From the first to before the second.
    Range([usize; 2]),
    /// The set's own test images.
    Test,
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => count.serialize(serializer),
            Self::Range(range) => range.serialize(serializer),
            Self::Test => serializer.serialize_str("test"),
        }
    }
}

impl JsonSchema for Part {
    fn schema_name() -> Cow<'static, str> {
        "Part".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "number, [first, end] or \"test\"" })
    }
}

// by hand, since serde's `untagged` loses the position of an error
impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor;
        impl<'de> Visitor<'de> for PartVisitor {
            type Value = Part;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of images, a range [first, end] or \"test\"")
            }
            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Part, E> {
                usize::try_from(n).map(Part::Count).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<Part, E> {
                usize::try_from(n).map(Part::Count).map_err(|_| E::custom("expected at least 0"))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Part, E> {
                match text {
                    "test" => Ok(Part::Test),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part, A::Error> {
                let mut next = |index| {
                    let end = serde::de::Error::invalid_length(index, &"[first, end]");
                    seq.next_element::<usize>()?.ok_or(end)
                };
                let range = [next(0)?, next(1)?];
                match seq.next_element::<usize>()? {
                    None => Ok(Part::Range(range)),
                    Some(_) => Err(serde::de::Error::invalid_length(3, &"[first, end]")),
                }
            }
        }
        deserializer.deserialize_any(PartVisitor)
    }
}

/// How a set is split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitConfig {
    /// Training part; the set's usual one if `None`.
    pub train: Option<Part>,
    /// Validation part; the set's usual one if `None`.
    pub valid: Option<Part>,
    /// Size of a random subset of the training part, balanced over the classes as far as possible.
    pub subset: Option<usize>,
    /// Seed of the subset.
    pub subset_seed: u64,
    /// Random changes of training images.
    pub augment: Augment,
}

/// A part of a set, preprocessed when asked for.
#[derive(Clone, Debug)]
pub struct Subset {
    images: Arc<Images>,
    preprocess: Preprocess,
    indices: Indices,
    augment: Augment,
}

/// Places in the official order.
#[derive(Clone, Debug)]
enum Indices {
    Range(Range<usize>),
    List(Arc<Vec<usize>>),
}

impl Indices {
    fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::List(list) => list.len(),
        }
    }

    fn at(&self, index: usize) -> usize {
        match self {
            Self::Range(range) => range.start + index,
            Self::List(list) => list[index],
        }
    }
}

impl Subset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of values of one sample.
    pub fn sample_len(&self) -> usize {
        self.images.image_len()
    }

    /// Whether samples are changed at random when [`Subset::augmented`] is asked for them.
    pub fn is_augmented(&self) -> bool {
        !self.augment.is_none()
    }

    /// Writes sample `index` of this part, as it is, into `out` and returns its label.
    ///
    /// # Panics
    /// If `index` is out of range or `out` is not one sample long.
    pub fn sample(&self, index: usize, out: &mut [f32]) -> usize {
        self.write(index, Change::default(), out)
    }

    /// As [`Subset::sample`], cropped and flipped as `rng` draws.
    ///
    /// # Panics
    /// If `index` is out of range or `out` is not one sample long.
    pub fn augmented(&self, index: usize, rng: &mut impl Rng, out: &mut [f32]) -> usize {
        self.write(index, self.augment.draw(rng), out)
    }

    fn write(&self, index: usize, change: Change, out: &mut [f32]) -> usize {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        let index = self.indices.at(index);
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
    /// [`DataError::Value`] if a part would be empty, reach past the end, or the two would overlap.
    pub fn new(
        images: Images,
        preprocess: Option<Preprocess>,
        config: &SplitConfig,
    ) -> Result<Self, DataError> {
        let Ranges { train, valid } = Ranges::new(&images, config)?;
        let indices = match config.subset {
            None => Indices::Range(train.clone()),
            Some(size) => {
                Indices::List(Arc::new(balanced(&images, train.clone(), size, config.subset_seed)?))
            }
        };
        let preprocess = preprocess
            .unwrap_or_else(|| Preprocess::measured(&images, (0..indices.len()).map(|i| indices.at(i))));
        let images = Arc::new(images);
        let part = |indices, augment| Subset {
            images: images.clone(),
            preprocess: preprocess.clone(),
            indices,
            augment,
        };
        let (train, valid) = (part(indices, config.augment), part(Indices::Range(valid), Augment::default()));
        Ok(Self { train, valid, images })
    }
}

/// The two parts of the official order.
struct Ranges {
    train: Range<usize>,
    valid: Range<usize>,
}

impl Ranges {
    fn new(images: &Images, config: &SplitConfig) -> Result<Self, DataError> {
        let total = images.len();
        let official = images.official_train.unwrap_or(total);
        let part = |key: &'static str, part: &Option<Part>, usual: usize, from_start: bool| match *part {
            Some(Part::Range([first, end])) => {
                if first < end && end <= total {
                    return Ok(first..end);
                }
                let expected = format!("[first, end] with first < end, at most {total} (the images in all)");
                Err(DataError::value(key, format!("[{first}, {end}]"), expected))
            }
            Some(Part::Test) if from_start || official == total => {
                Err(DataError::value(key, "\"test\"", "a number of images or a range [first, end]"))
            }
            Some(Part::Test) => Ok(official..total),
            // at least one image is left for the other part
            Some(Part::Count(count)) if count == 0 || count >= total => {
                let expected = format!("1 to {} ({total} images in all)", total.saturating_sub(1));
                Err(DataError::value(key, count, expected))
            }
            Some(Part::Count(count)) if from_start => Ok(0..count),
            Some(Part::Count(count)) => Ok(total - count..total),
            None if from_start => Ok(0..usual.min(official)),
            None => Ok(total - usual.min(total)..total),
        };
        // if neither the user nor the authors say otherwise, the last sixth is for validation
        let usual_valid = if official < total { total - official } else { (total / 6).max(1) };
        let usual_train = if official < total { official } else { total - usual_valid };
        let train = part("train", &config.train, usual_train, true)?;
        let valid = part("valid", &config.valid, usual_valid, false)?;
        if train.is_empty() || valid.is_empty() || (train.start < valid.end && valid.start < train.end) {
            let found = format!("images {}..{}", valid.start, valid.end);
            let expected =
                format!("images that are not in the training part, {}..{}", train.start, train.end);
            return Err(DataError::value("valid", found, expected));
        }
        Ok(Self { train, valid })
    }
}

/// `size` images of `range`, drawn at random by `seed` and in the official order: of each class as many as of the others,
/// as far as the class has enough.
fn balanced(images: &Images, range: Range<usize>, size: usize, seed: u64) -> Result<Vec<usize>, DataError> {
    if size == 0 || size > range.len() {
        let expected = format!("1 to {}, the training images", range.len());
        return Err(DataError::value("subset", size, expected));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut classes: Vec<Vec<usize>> = vec![vec![]; images.classes];
    range.for_each(|index| classes[usize::from(images.labels[index])].push(index));
    classes.iter_mut().for_each(|class| class.shuffle(&mut rng));
    // one of each class in turn; the classes of the last, incomplete turn are drawn at random
    let mut chosen = Vec::with_capacity(size);
    let mut turn = 0;
    while chosen.len() < size {
        let mut round: Vec<usize> = classes.iter().filter_map(|class| class.get(turn).copied()).collect();
        round.shuffle(&mut rng);
        chosen.extend(round.into_iter().take(size - chosen.len()));
        turn += 1;
    }
    chosen.sort_unstable();
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let labels = vec![0, 1, 2, 3, 4];
        Images {
            pixels: vec![0, 1, 2, 3, 4],
            labels,
            shape: [1, 1, 1],
            classes: 5,
            max: 1,
            official_train: None,
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
        let official = Images { official_train: Some(4), ..images() };
        let usual = Split::new(official, None, &SplitConfig::default()).unwrap();
        assert_eq!((usual.train.len(), usual.valid.len()), (4, 1));
    }

    #[test]
    fn refuses_empty_and_overlapping_parts() {
        let refused = |train, valid| split(train, valid).unwrap_err().to_string();
        assert_eq!(
            refused(Part::Count(0), Part::Count(1)),
            "`data.train` = 0, expected 1 to 4 (5 images in all)"
        );
        assert_eq!(
            refused(Part::Count(3), Part::Count(3)),
            "`data.valid` = images 2..5, expected images that are not in the training part, 0..3"
        );
        assert!(refused(Part::Count(3), Part::Count(0)).contains("`data.valid` = 0"));
        assert!(refused(Part::Range([3, 3]), Part::Count(1)).contains("`data.train` = [3, 3]"));
        assert!(refused(Part::Range([0, 6]), Part::Count(1)).contains("at most 5"));
    }

    #[test]
    fn a_subset_is_balanced_and_a_function_of_its_seed() {
        let labels: Vec<u16> = (0..100).map(|i| u16::from(i % 10 == 0)).collect();
        let images = Images { pixels: vec![0; 100], labels, classes: 2, ..images() };
        let draw = |size, seed| balanced(&images, 0..90, size, seed).unwrap();
        let rare = |chosen: &[usize]| chosen.iter().filter(|&&index| images.labels[index] == 1).count();
        let chosen = draw(13, 1);
        assert_eq!(chosen.len(), 13);
        assert!((6..=7).contains(&rare(&chosen)) && chosen.windows(2).all(|pair| pair[0] < pair[1]));
        // there are only nine of the rarer class
        assert_eq!(rare(&draw(40, 1)), 9);
        assert_eq!(chosen, draw(13, 1));
        assert_ne!(chosen, draw(13, 2));
        assert!(balanced(&images, 0..90, 91, 1).is_err());
    }
}
