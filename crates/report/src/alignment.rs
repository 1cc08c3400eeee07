//! How gradients lie to the Hessian, by batch size (paper, Figures 5 and 6).

use crate::Summary;
use crate::table::{Table, or_dash, short};

/// One row per run, measurement and batch size: mean and standard error of gᵀHg/gᵀg, its deviation over batches, the
/// ratio of means, what Eq. 3 predicts for that, and 2/η.
///
/// `None` if no run measured any.
pub fn alignment_table(runs: &[Summary]) -> Option<Table> {
    let header = [
        "",
        "epoch",
        "step",
        "batch",
        "g'Hg / g'g",
        "deviation",
        "ratio of means",
        "by Eq. 3",
        "2 / lr",
        "batches",
    ];
    let with_error = |[value, error]: [f64; 2]| format!("{} +- {}", short(value), short(error));
    let rows = runs.iter().flat_map(|run| {
        run.alignments.iter().map(move |row| {
            vec![
                run.label.clone(),
                row.epoch.to_string(),
                row.step.to_string(),
                row.batch_size.to_string(),
                with_error([row.mean, row.standard_error]),
                short(row.deviation),
                with_error([row.ratio_of_means, row.ratio_of_means_error]),
                or_dash(row.predicted.map(with_error)),
                short(row.two_over_lr),
                row.batches.to_string(),
            ]
        })
    });
    Table::new("alignment", header, rows)
}
