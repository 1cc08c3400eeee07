//! The `[data]` section of an experiment.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{DataError, Images, Preprocess, Split, cifar, digits, mnist};

/// Which set, from where, and how it is cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The set.
    pub set: DataSet,
    /// The folder with its files; the built-in set needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Number of training images, from the start of the official order; the set's usual split if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<usize>,
    /// Number of validation images, from the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<usize>,
}

/// A known set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSet {
    /// The built-in 8x8 digits: 1,400 to train, 397 to validate.
    Digits,
    /// MNIST: the paper's 45,000 and 10,000 of its 60,000 training images.
    Mnist,
    /// CIFAR-10: the paper's 45,000 and 5,000 of its 50,000 training images.
    Cifar10,
    /// CIFAR-100: likewise.
    Cifar100,
}

impl DataSet {
    /// Its name in experiment files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
        }
    }

    /// Its usual numbers of training and validation images.
    const fn usual_split(self) -> (usize, usize) {
        match self {
            Self::Digits => (1400, 397),
            Self::Mnist => (45_000, 10_000),
            Self::Cifar10 | Self::Cifar100 => (45_000, 5_000),
        }
    }
}

impl DataSet {
    /// The authors' constants: x - 0.5 for digits and MNIST, mean and deviation per channel for CIFAR.
    fn preprocess(self) -> Preprocess {
        match self {
            Self::Digits | Self::Mnist => Preprocess { mean: vec![0.5], std: vec![1.0] },
            Self::Cifar10 | Self::Cifar100 => {
                Preprocess { mean: vec![0.4914, 0.4822, 0.4465], std: vec![0.2023, 0.1994, 0.2010] }
            }
        }
    }
}

impl DataConfig {
    /// Reads the set and cuts it. Inputs are normalised with the constants of the authors' runs.
    ///
    /// # Errors
    /// [`DataError`] if a file is missing or broken or the split does not fit.
    pub fn load(&self) -> Result<Split, DataError> {
        let images = self.images()?;
        let (train, valid) = self.set.usual_split();
        Split::new(images, self.set.preprocess(), self.train.unwrap_or(train), self.valid.unwrap_or(valid))
    }

    fn images(&self) -> Result<Images, DataError> {
        match (self.set, &self.dir) {
            (DataSet::Digits, None) => Ok(digits::load()),
            (DataSet::Digits, Some(dir)) => {
                let (found, expected) = (dir.display().to_string(), "none: the digits are built in".into());
                Err(DataError::Value { key: "dir", found, expected })
            }
            (set, None) => Err(DataError::NoDir { set: set.name() }),
            (DataSet::Mnist, Some(dir)) => mnist::load(dir),
            (DataSet::Cifar10, Some(dir)) => cifar::load_10(dir),
            (DataSet::Cifar100, Some(dir)) => cifar::load_100(dir),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_load_with_their_usual_split() {
        let config = DataConfig { set: DataSet::Digits, dir: None, train: None, valid: None };
        let split = config.load().unwrap();
        assert_eq!((split.train.len(), split.valid.len(), split.train.sample_len()), (1400, 397, 64));
        let mut out = vec![0.0; 64];
        assert_eq!(split.train.sample(3, &mut out), 3);
        assert!(out.iter().all(|x| (-0.5..=0.5).contains(x)));
    }

    /// The paper's data, where it is: set WALK_MNIST to the folder with the four files.
    #[test]
    fn mnist_has_its_known_facts() {
        let Some(dir) = std::env::var_os("WALK_MNIST") else {
            eprintln!("SKIPPED: mnist_has_its_known_facts needs WALK_MNIST=folder with the MNIST files");
            return;
        };
        let images = mnist::load(dir.as_ref()).unwrap();
        assert_eq!((images.len(), images.shape, images.labels[0]), (60_000, [1, 28, 28], 5));
        let counts = |class| images.labels.iter().filter(|&&label| label == class).count();
        let known = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(counts), known);
        let values = images.pixels.iter().map(|&byte| f64::from(byte) / 255.0);
        let n = images.pixels.len() as f64;
        let mean = values.clone().sum::<f64>() / n;
        let std = (values.map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!((mean - 0.1307).abs() < 5e-5 && (std - 0.3081).abs() < 5e-5);
    }
}
