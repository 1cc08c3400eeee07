//! Tables made from records alone.

mod alignment;
mod barriers;
mod segments;
mod summary;
mod walk;

pub use alignment::alignment_table;
pub use barriers::barrier_table;
pub use segments::segment_table;
pub use summary::{EpochSegments, Summary};
pub use walk::walk_table;
