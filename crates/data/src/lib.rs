//! Data sets: read, split, and turned into inputs batch by batch. Images stay bytes until they are used.

mod cifar;
mod config;
mod digits;
mod error;
mod idx;
mod images;
mod mnist;
mod preprocess;
mod split;

pub use config::{DataConfig, DataSet};
pub use error::DataError;
pub use images::Images;
pub use preprocess::Preprocess;
pub use split::{Split, Subset};
