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
    /// The byte value of full intensity: 255, or 16 for the digits.
    pub max: u8,
    /// The authors' division of these images, if any.
    pub official: Option<Official>,
    /// Remarks for the user about the files that were read, such as what was left out; one sentence each.
    pub remarks: Vec<String>,
}

/// The authors' division of a set: training images, followed by the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Official {
    /// Number of training images.
    pub train: usize,
    /// The purpose of the images after them.
    pub rest: Rest,
}

/// The purpose of images that are not for training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Validation during training.
    Validation,
    /// Testing at the end.
    Test,
}

/// Which of a set's published images to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The training images, then the authors' validation images, if any.
    Training,
    /// The training images, then the test images, with [`Images::official`] saying where these begin.
    TrainingAndTest,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of bytes of one image.
    pub fn image_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// SHA-256 over pixels, then labels (two bytes each, little-endian), in hexadecimal; it identifies the data in a run's
    /// record.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.pixels);
        hash.update(self.labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>());
        format!("{:x}", hash.finalize())
    }
}
