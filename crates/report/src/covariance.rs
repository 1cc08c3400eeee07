//! The covariance of per-sample gradients (paper, Eq. 3).

use walk_record::Run;
use walk_record::rows::Covariance;

use crate::table::{Table, cells, of_all, short, with_error};

/// One row per run and measurement, and one below it for each further batch size that Eq. 3 was checked with: tr C and ‖ḡ‖²;
/// E‖g_B - ḡ‖² as measured and as (1/B - 1/N) tr C, and their ratio.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    let header =
        ["", "epoch", "step", "tr C", "|g|^2", "from", "batch", "E|g_B - g|^2", "(1/B - 1/N) tr C", "ratio"];
    let mut rows = vec![];
    for run in runs {
        for row in run.rows::<Covariance>() {
            let trace =
                if row.is_exact() { short(row.trace) } else { with_error(row.trace, row.trace_error) };
            let grad_norm_sq = short(row.full_grad_norm_sq);
            let units = match row.unit_size {
                1 => format!("{} samples", of_all(row.count, row.train_samples)),
                size => format!("{} {}s of {size}", row.count, row.unit.name()),
            };
            let mut first = cells([&run.label, &row.at.epoch, &row.at.step, &trace, &grad_norm_sq, &units]);
            if row.checks.is_empty() {
                first.resize(header.len(), "-".into());
                rows.push(first);
                continue;
            }
            for check in &row.checks {
                let mut line = std::mem::replace(&mut first, vec![String::new(); 6]);
                // the batch of all samples is the full gradient's own
                let is_all = check.batch_size == row.samples;
                let error = check.standard_error;
                let measured = if is_all { short(check.measured) } else { with_error(check.measured, error) };
                line.extend([check.batch_size.to_string(), measured, short(check.predicted)]);
                line.push(format!("{:.3}", check.ratio()));
                rows.push(line);
            }
        }
    }
    vec![Table::new("covariance", header, rows)]
}
