//! Data sets: reads and splits them, and turns them into inputs batch by batch. Images are kept as bytes until they are used.

mod archive;
mod augment;
mod cifar;
mod class_names;
mod config;
mod digits;
mod division;
mod draw;
mod error;
pub mod fetch;
mod folder;
mod folder_error;
mod formats;
mod idx;
mod images;
mod left_out;
mod listing;
mod mnist;
mod part;
mod picture;
mod pictures;
mod places;
mod preprocess;
mod split;
#[cfg(test)]
mod test_support;
mod tiny_imagenet;

pub use augment::Augment;
pub use config::{DataConfig, DataSet, Normalize, usual_root};
pub use error::DataError;
pub use folder_error::FolderError;
pub use images::{Images, Official, Rest};
pub use part::Part;
pub use preprocess::Preprocess;
pub use split::{Split, SplitConfig, Subset};
