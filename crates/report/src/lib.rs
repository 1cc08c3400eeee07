//! Tables and figures made from records alone: equal records, equal bytes.

mod alignment;
mod barriers;
mod claims;
mod csv;
mod error;
mod figures;
mod page;
mod segments;
mod summary;
mod surface;
mod table;
mod walk;

pub use alignment::alignment_table;
pub use barriers::barrier_table;
pub use claims::{Claim, Exhibit, ExhibitRun, Verdict, claims, claims_table};
pub use error::ReportError;
pub use figures::{Drawing, Figure, Run, figures};
pub use page::{Page, PageRun};
pub use segments::segment_table;
pub use summary::{EpochSegments, FloorMoves, Summary};
pub use surface::{covariance_table, line_table, noise_table, spectrum_table};
pub use table::Table;
pub use walk::walk_table;

/// Every table that some run has something for, the barriers first.
pub fn tables(runs: &[Summary]) -> Vec<Table> {
    let tables = [
        barrier_table(runs),
        segment_table(runs),
        noise_table(runs),
        walk_table(runs),
        alignment_table(runs),
        covariance_table(runs),
        spectrum_table(runs),
        line_table(runs),
    ];
    tables.into_iter().flatten().collect()
}
