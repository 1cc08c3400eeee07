//! Tables made from records alone.

mod barriers;
mod segments;
mod summary;

pub use barriers::barrier_table;
pub use segments::segment_table;
pub use summary::{EpochSegments, Summary};
