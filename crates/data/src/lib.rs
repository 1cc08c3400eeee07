//! Data sets: read, split, and turned into inputs batch by batch. Images are kept as bytes until they are used.

mod archive;
mod augment;
mod cifar;
mod config;
mod digits;
mod division;
mod draw;
mod error;
pub mod fetch;
mod folder;
mod idx;
mod images;
mod mnist;
mod part;
mod picture;
mod places;
mod preprocess;
mod split;
#[cfg(test)]
mod test_support;

pub use augment::Augment;
pub use config::{DataConfig, DataSet, Normalize};
pub use error::DataError;
pub use images::Images;
pub use part::Part;
pub use preprocess::Preprocess;
pub use split::{Split, SplitConfig, Subset};
