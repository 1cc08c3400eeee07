//! The noise of the loss at one point.

use walk_record::Run;
use walk_record::rows::{Noise, Rounding};

use crate::table::{Table, column, or_dash, scientific};

/// One row per run and measurement: the standard deviation over evaluations, and the differences between f32 and f64 on some
/// samples.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    fn of_rounding(row: &Noise, cell: fn(&Rounding) -> String) -> String {
        or_dash(row.rounding.as_ref().map(cell))
    }
    let columns = [
        column("data", |row: &Noise| row.evaluation.name().into()),
        column("loss", |row| format!("{:.6}", row.mean_loss)),
        column("deviation", |row| scientific(row.sigma, 1)),
        column("evaluations", |row| row.evaluations.to_string()),
        column("f32 - f64, mean", |row| of_rounding(row, |rounding| scientific(rounding.mean, 1))),
        column("f32 - f64, deviation", |row| of_rounding(row, |rounding| scientific(rounding.sigma, 1))),
        column("samples", |row| of_rounding(row, |rounding| rounding.samples.to_string())),
    ];
    vec![Table::of_rows("noise", runs, &columns)]
}
