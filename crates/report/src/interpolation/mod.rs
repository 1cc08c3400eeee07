//! The loss along single updates: barriers and valleys (paper, Section 3, Table 1, Figures 1 to 4).

mod analysis;
mod audit;
mod figures;
mod floor;
mod noise_test;
mod tables;

pub(crate) use self::analysis::{EpochSegments, Segments};
pub(crate) use self::figures::{curves, figures};
pub(crate) use self::floor::FloorMoves;
pub(crate) use self::tables::tables;
