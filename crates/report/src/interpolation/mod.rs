//! The loss along single updates: barriers and valleys (paper, Section 3, Table 1, Figures 1 to 4).

mod analysis;
mod figures;
mod tables;

pub(crate) use self::analysis::{EpochSegments, FloorMoves, Segments};
pub(crate) use self::figures::figures;
pub(crate) use self::tables::tables;
