//! The `[data]` section of an experiment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::augment::Augment;
use crate::images::Published;
use crate::part::Part;
use crate::split::SplitConfig;
use crate::{DataError, Images, Preprocess, Split, cifar, digits, folder, mnist, tiny_imagenet};

/// Which data set is used, where its files are, and how its images are split and preprocessed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data set.
    pub set: DataSet,
    /// The folder with its files, or the archive published by its authors; by default, the folder named after the set in `root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The folder that contains the data sets, each in a subfolder of its name; by default `$SGDWALK_DATA`, or `data` if that is
    /// not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// Which variant of EMNIST: `balanced` (the default), `byclass`, `bymerge`, `letters`, `digits`, `mnist`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Number of channels to read the images of your own folder with: 1 for grayscale, 3 for color.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Training images: a number, counted from the start of the official order, or a range [first, end]; by default, the set's
    /// usual ones, or else all that are not used for validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Part>,
    /// Validation images: a number, counted from the end, a range, or "test" for only the set's own test images; by default, the
    /// set's usual ones, or else a random sixth of the images not named for training, with the same share of each class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<Part>,
    /// Size of a random subset of the training images, balanced over the classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<usize>,
    /// Seed of the subset; independent of the experiment's seed, so that runs with different seeds use the same samples.
    #[serde(default)]
    pub subset_seed: u64,
    /// Constants for normalizing inputs.
    #[serde(default)]
    pub normalize: Normalize,
    /// Your own mean of each channel, for values scaled to [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// Your own standard deviation of each channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// Random changes of training images.
    #[serde(default)]
    pub augment: Augment,
}

/// Constants for normalizing inputs, unless the user gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// The authors' constants for MNIST, CIFAR and Tiny ImageNet; those of MNIST for the digits, Fashion-MNIST and EMNIST; computed for a
    /// folder.
    #[default]
    Paper,
    /// Mean and standard deviation of the training images.
    Computed,
    /// Mean 0, standard deviation 1: values range from 0 to 1.
    None,
}

/// A known data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataSet {
    /// The built-in 8x8 digits: 1,400 for training, 397 for validation.
    #[default]
    Digits,
    /// MNIST: as in the paper, 45,000 and 10,000 of its 60,000 training images.
    Mnist,
    /// Fashion-MNIST: split like MNIST.
    FashionMnist,
    /// A variant of EMNIST: a sixth of each class is used for validation.
    Emnist,
    /// CIFAR-10: as in the paper, 45,000 and 5,000 of its 50,000 training images.
    Cifar10,
    /// CIFAR-100: split like CIFAR-10.
    Cifar100,
    /// Tiny ImageNet: its training and validation images.
    TinyImagenet,
    /// Your own images, with one folder per class, optionally inside folders for the training, validation and test parts.
    Folder,
}

/// Numbers of training and validation images.
#[derive(Clone, Copy)]
struct UsualSplit {
    train: usize,
    valid: usize,
}

/// The default folder that contains the data sets, each in a subfolder of its name: `$SGDWALK_DATA`, or `data` if that is not
/// set.
pub fn usual_root() -> PathBuf {
    std::env::var_os("SGDWALK_DATA")
        .filter(|root| !root.is_empty())
        .map_or_else(|| "data".into(), PathBuf::from)
}

impl DataSet {
    /// All sets, in the order they are listed to users.
    pub const ALL: [Self; 8] = [
        Self::Digits,
        Self::Mnist,
        Self::FashionMnist,
        Self::Emnist,
        Self::Cifar10,
        Self::Cifar100,
        Self::TinyImagenet,
        Self::Folder,
    ];

    /// Its name in experiment files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion_mnist",
            Self::Emnist => "emnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::TinyImagenet => "tiny_imagenet",
            Self::Folder => "folder",
        }
    }

    /// Its default folder: named after the set, in `root`, or else in `$SGDWALK_DATA`, or else in `data`.
    pub fn usual_dir(self, root: Option<&Path>) -> PathBuf {
        root.map_or_else(usual_root, Path::to_path_buf).join(self.name())
    }

    /// Its usual split; `None` if the authors' own division is used.
    const fn usual_split(self) -> Option<UsualSplit> {
        let (train, valid) = match self {
            Self::Digits => (1400, 397),
            Self::Mnist | Self::FashionMnist => (45_000, 10_000),
            Self::Cifar10 | Self::Cifar100 => (45_000, 5_000),
            Self::Emnist | Self::TinyImagenet | Self::Folder => return None,
        };
        Some(UsualSplit { train, valid })
    }

    /// The constants of the authors' runs: x - 0.5 for digits and MNIST, mean and standard deviation per channel for the others.
    fn of_the_paper(self) -> Option<Preprocess> {
        let (mean, std): (&[f32], &[f32]) = match self {
            Self::Digits | Self::Mnist | Self::FashionMnist | Self::Emnist => (&[0.5], &[1.0]),
            Self::Cifar10 | Self::Cifar100 => (&[0.4914, 0.4822, 0.4465], &[0.2023, 0.1994, 0.2010]),
            Self::TinyImagenet => (&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]),
            Self::Folder => return None,
        };
        Some(Preprocess { mean: mean.to_vec(), std: std.to_vec() })
    }
}

impl DataConfig {
    /// A data set with default values for everything else.
    pub fn new(set: DataSet) -> Self {
        Self { set, ..Self::default() }
    }

    /// Reads the set and splits it.
    ///
    /// # Errors
    /// [`DataError`] if a file is missing or broken, the split does not fit, or a value is invalid.
    pub fn load(&self) -> Result<Split, DataError> {
        self.split(self.read()?)
    }

    /// Whether [`DataConfig::read`] gives the same images as for `other`.
    pub fn is_read_like(&self, other: &Self) -> bool {
        let source = |config: &Self| {
            let Self { set, dir, root, variant, channels, valid, .. } = config.clone();
            (set, dir, root, variant, channels, valid == Some(Part::Test))
        };
        source(self) == source(other)
    }

    /// Splits the images of the set, which [`DataConfig::read`] read.
    ///
    /// # Errors
    /// [`DataError`] if the split does not fit, or a value is invalid.
    pub fn split(&self, images: impl Into<Arc<Images>>) -> Result<Split, DataError> {
        let images = images.into();
        let [channels, height, width] = images.shape;
        let preprocess = self.preprocess(channels)?;
        let padding = self.augment.crop_padding;
        if padding >= height.min(width) {
            let expected = format!("less than the image's sides, {height} and {width}");
            return Err(DataError::value("augment.crop_padding", padding, expected));
        }
        let usual = self.set.usual_split();
        let part = |given: &Option<Part>, usual: Option<usize>| given.clone().or(usual.map(Part::Count));
        let config = SplitConfig {
            train: part(&self.train, usual.map(|usual| usual.train)),
            valid: part(&self.valid, usual.map(|usual| usual.valid)),
            subset: self.subset,
            subset_seed: self.subset_seed,
            augment: self.augment,
        };
        Split::new(images, preprocess, &config)
    }

    /// The constants, or `None` if they need to be measured.
    fn preprocess(&self, channels: usize) -> Result<Option<Preprocess>, DataError> {
        if self.mean.is_some() || self.std.is_some() {
            let (mean, std) = (self.mean.clone().unwrap_or_default(), self.std.clone().unwrap_or_default());
            if mean.len() != channels || mean.iter().any(|x| !x.is_finite()) {
                return Err(constants("mean", &mean, channels));
            }
            if std.len() != channels || std.iter().any(|&x| !(x.is_finite() && x > 0.0)) {
                return Err(constants("std", &std, channels));
            }
            // a white pixel, and a black one
            let is_finite = |(mean, std): (&f32, &f32)| (1.0 / std).is_finite() && (mean / std).is_finite();
            if !mean.iter().zip(&std).all(is_finite) {
                let expected = format!("numbers that leave inputs finite, with `data.mean` = {mean:?}");
                return Err(DataError::value("std", format!("{std:?}"), expected));
            }
            return Ok(Some(Preprocess { mean, std }));
        }
        Ok(match self.normalize {
            Normalize::Computed => None,
            Normalize::None => Some(Preprocess { mean: vec![0.0; channels], std: vec![1.0; channels] }),
            Normalize::Paper => self.set.of_the_paper(),
        })
    }

    /// Reads the whole set.
    ///
    /// # Errors
    /// [`DataError`] if a file is missing or broken, or a value is invalid.
    pub fn read(&self) -> Result<Images, DataError> {
        let only = |key: &'static str, given: Option<String>, what: &str| match given {
            Some(found) => Err(DataError::value(key, found, format!("none: {what}"))),
            None => Ok(()),
        };
        if self.set != DataSet::Emnist {
            only("variant", self.variant.clone(), "only emnist has variants")?;
        }
        if self.set != DataSet::Folder {
            only("channels", self.channels.map(|n| n.to_string()), "only set = \"folder\" has it")?;
        }
        let no_test = match self.set {
            DataSet::Digits => Some("the digits have no test images"),
            DataSet::TinyImagenet => {
                Some("its test images have no labels; without this key, its validation images are used")
            }
            _ => None,
        };
        if let (Some(Part::Test), Some(why)) = (&self.valid, no_test) {
            return Err(DataError::value(
                "valid",
                "\"test\"",
                format!("a number or a range of images: {why}"),
            ));
        }
        let dir = self.dir.clone().unwrap_or_else(|| self.set.usual_dir(self.root.as_deref()));
        let which = match self.valid {
            Some(Part::Test) => Published::TrainingAndTest,
            _ => Published::Training,
        };
        match self.set {
            DataSet::Digits => {
                let dir = self.dir.as_ref().map(|dir| dir.display().to_string());
                only("dir", dir, "the digits are built in")?;
                Ok(digits::load())
            }
            set @ (DataSet::Mnist | DataSet::FashionMnist) => mnist::load_mnist(&dir, which, set.name()),
            DataSet::Emnist => mnist::load_emnist(&dir, which, self.variant.as_deref().unwrap_or("balanced")),
            DataSet::Cifar10 => cifar::load_10(&dir, which),
            DataSet::Cifar100 => cifar::load_100(&dir, which),
            DataSet::TinyImagenet => tiny_imagenet::load(&dir),
            DataSet::Folder => {
                let channels = self.channels.unwrap_or(3);
                if !matches!(channels, 1 | 3) {
                    return Err(DataError::value("channels", channels, "1 or 3"));
                }
                folder::load(&dir, channels, which)
            }
        }
    }
}

/// Constants that are not one number per channel.
fn constants(key: &'static str, found: &[f32], channels: usize) -> DataError {
    let expected =
        format!("{channels} finite numbers (above 0 for `std`), one per channel; give both or none");
    DataError::value(key, if found.is_empty() { "nothing".into() } else { format!("{found:?}") }, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_load_with_their_usual_split() {
        let split = DataConfig::new(DataSet::Digits).load().unwrap();
        assert_eq!((split.train.len(), split.valid.len(), split.train.sample_len()), (1400, 397, 64));
        let mut out = vec![0.0; 64];
        assert_eq!(split.train.sample(3, &mut out), 3);
        assert!(out.iter().all(|x| (-0.5..=0.5).contains(x)));
    }

    #[test]
    fn configurations_that_differ_in_the_split_share_their_images() {
        let digits = || DataConfig::new(DataSet::Digits);
        let part = |train| DataConfig { train: Some(Part::Count(train)), ..digits() };
        assert!(part(100).is_read_like(&part(200)));
        assert!(!digits().is_read_like(&DataConfig { dir: Some("a".into()), ..digits() }));
        let images = Arc::new(digits().read().unwrap());
        assert_eq!(
            [100, 200].map(|train| part(train).split(images.clone()).unwrap().train.len()),
            [100, 200]
        );
        assert!(part(9999).split(images).unwrap_err().to_string().contains("`data.train` = 9999"));
    }

    #[test]
    fn constants_are_the_papers_ones_own_or_measured() {
        let first = |config: DataConfig| {
            let split = config.load().unwrap();
            let mut out = vec![0.0; 64];
            split.train.sample(0, &mut out);
            f64::from(out[0]) // a black pixel
        };
        let is = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-7, "{found}");
        let digits = || DataConfig::new(DataSet::Digits);
        is(first(digits()), -0.5);
        is(first(DataConfig { normalize: Normalize::None, ..digits() }), 0.0);
        let own = DataConfig { mean: Some(vec![0.25]), std: Some(vec![0.5]), ..digits() };
        is(first(own), -0.5);
        // the digits' mean is about 4.9 of 16, their standard deviation 6.0
        let measured = first(DataConfig { normalize: Normalize::Computed, ..digits() });
        assert!((measured + 0.81).abs() < 0.02, "{measured}");
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        let message = |change: fn(&mut DataConfig)| {
            let mut config = DataConfig::new(DataSet::Digits);
            change(&mut config);
            config.load().unwrap_err().to_string()
        };
        assert!(message(|c| c.mean = Some(vec![0.5])).contains("`data.std` = nothing"));
        assert!(
            message(|c| (c.mean, c.std) = (Some(vec![0.5]), Some(vec![0.0]))).contains("`data.std` = [0.0]")
        );
        for (mean, std) in [(0.5, 1e-45), (1e38, 1e-30)] {
            let config = DataConfig {
                mean: Some(vec![mean]),
                std: Some(vec![std]),
                ..DataConfig::new(DataSet::Digits)
            };
            let text = config.load().unwrap_err().to_string();
            assert!(text.contains("expected numbers that leave inputs finite"), "{text}");
        }
        assert!(message(|c| c.dir = Some("x".into())).contains("`data.dir` = x, expected none"));
        assert!(message(|c| c.variant = Some("a".into())).contains("only emnist has variants"));
        assert!(message(|c| c.channels = Some(1)).contains("`data.channels` = 1"));
        assert!(message(|c| c.augment.crop_padding = 8).contains("`data.augment.crop_padding` = 8"));
        assert!(message(|c| c.subset = Some(1401)).contains("`data.subset` = 1401, expected 1 to 1400"));
        assert!(
            message(|c| c.valid = Some(Part::Test)).contains("`data.valid` = \"test\", expected a number")
        );
        let missing = message(|c| c.set = DataSet::Cifar10);
        assert!(missing.contains("data/cifar10") && missing.contains("data fetch cifar10"), "{missing}");
    }
}
