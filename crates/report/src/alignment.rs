//! How gradients lie to the Hessian, by batch size (paper, Figures 5 and 6).

use tabled::builder::Builder;
use tabled::settings::{Alignment, Style, object::Columns, object::Object, object::Rows};

use crate::Summary;

/// One row per run, measurement and batch size: mean and standard error of gᵀHg/gᵀg, its deviation over batches, the
/// ratio of means that Eq. 3 speaks of, and 2/η.
///
/// `None` if no run measured any.
pub fn alignment_table(runs: &[Summary]) -> Option<String> {
    let mut builder = Builder::default();
    builder.push_record([
        "",
        "epoch",
        "step",
        "batch",
        "g'Hg / g'g",
        "deviation",
        "ratio of means",
        "2 / lr",
        "batches",
    ]);
    for (run, row) in runs.iter().flat_map(|run| run.alignments.iter().map(move |row| (run, row))) {
        builder.push_record([
            run.label.clone(),
            row.epoch.to_string(),
            row.step.to_string(),
            row.batch_size.to_string(),
            format!("{:.4} +- {:.4}", row.mean, row.standard_error),
            format!("{:.4}", row.deviation),
            format!("{:.4}", row.ratio_of_means),
            format!("{:.4}", row.two_over_lr),
            row.batches.to_string(),
        ]);
    }
    if builder.count_records() == 1 {
        return None;
    }
    let mut table = builder.build();
    table.with(Style::rounded());
    table.modify(Columns::new(1..).not(Rows::first()), Alignment::right());
    Some(table.to_string())
}
