//! A set of labeled images in memory, as bytes.

use sha2::{Digest, Sha256};

/// Labeled images: `[n, channels, height, width]` bytes from 0 to `max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// All pixels, image after image.
    pub pixels: Vec<u8>,
    /// The class of each image, below `classes`.
    pub labels: Vec<u16>,
    /// Shape of one image: `[channels, height, width]`.
    pub shape: [usize; 3],
    /// The names of the classes; a label is a place here.
    pub classes: Vec<String>,
    /// The byte that stands for full intensity: 255, or 16 for the digits.
    pub max: u8,
    /// The authors' division of these images, if there is one.
    pub official: Option<Official>,
    /// What the user should know about the files that were read, such as what was left out; a sentence each.
    pub remarks: Vec<String>,
}

/// The authors' division of a set: images to train on, followed by the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Official {
    /// Number of training images.
    pub train: usize,
    /// What the images after them are for.
    pub rest: Rest,
}

/// What images are for that do not train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// To validate on during training.
    Validation,
    /// To test on at the end.
    Test,
}

/// Which of a set's published images are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The training images, then the validation images, where the authors have some.
    Training,
    /// The training images, then the test images, with [`Images::official`] saying where these begin.
    TrainingAndTest,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of bytes of one image.
    pub fn image_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// SHA-256 over pixels, then labels (two bytes each, the low one first), in hexadecimal, by which a run's
    /// record identifies its data.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.pixels);
        hash.update(self.labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>());
        format!("{:x}", hash.finalize())
    }
}
