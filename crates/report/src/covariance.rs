//! The covariance of per-sample gradients (paper, Eq. 3).

use walk_record::rows::Covariance;
use walk_record::{Measured, Run};

use crate::curve::{Curve, step_values};
use crate::table::{Cell, Table, decimals, detail, estimate, main, of_all, place, result, short, words};

/// The simple gradient noise scale tr C / ‖ḡ‖² (McCandlish et al., 2018, arXiv 1812.06162), the batch size below which noise outweighs the
/// gradient. For a part of n of the samples, ‖ḡ‖² is too large by tr C (1/n - 1/N) on average, which is subtracted; missing if
/// nothing is left, or there is no noise.
pub(crate) fn noise_scale(row: &Covariance) -> Measured {
    let (trace, n, all) = (row.trace.or_nan(), row.samples as f64, row.train_samples as f64);
    let norm_sq = row.full_grad_norm_sq.or_nan() - trace * (1.0 / n - 1.0 / all);
    if norm_sq > 0.0 && trace > 0.0 { (trace / norm_sq).into() } else { Measured::MISSING }
}

/// The noise scale by update, on a logarithmic axis.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let mut curve = Curve::new("noise_scale", "Gradient noise scale", "update", "tr C / ‖ḡ‖²");
    curve.y.log = true;
    vec![Curve { dots: true, ..curve.through(&step_values(run, noise_scale)) }]
}

/// One row per measurement and batch size that Eq. 3 was checked with: tr C and ‖ḡ‖²; E‖g_B - ḡ‖² as measured and as
/// (1/B - 1/N) tr C, and their ratio.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let columns = [
        place("epoch", "epoch"),
        place("step", "step"),
        place("batch_size", "B"),
        result("trace", "tr C"),
        detail("full_grad_norm_sq", "‖ḡ‖²"),
        main("noise_scale", "tr C / ‖ḡ‖²"),
        detail("units", "from"),
        words("unit", "units"),
        main("measured", "E‖g_B − ḡ‖²"),
        main("predicted", "(1/B − 1/N) tr C"),
        main("ratio", "ratio"),
    ];
    let mut rows = vec![];
    for row in run.rows::<Covariance>() {
        let trace = if row.is_exact() { short(row.trace) } else { estimate(row.trace, row.trace_error) };
        let (count, unit) = match row.unit_size {
            1 => (of_all(row.count, row.train_samples), "samples".to_owned()),
            size => (row.count.into(), format!("{}s of {size}", row.unit.name())),
        };
        let line = |batch: Cell, [measured, predicted, ratio]: [Cell; 3]| {
            let at = [(row.at.epoch as usize).into(), (row.at.step as usize).into(), batch];
            let found = [
                trace.clone(),
                short(row.full_grad_norm_sq),
                short(noise_scale(&row)),
                count.clone(),
                unit.clone().into(),
                measured,
                predicted,
                ratio,
            ];
            at.into_iter().chain(found).collect()
        };
        if row.checks.is_empty() {
            rows.push(line(Cell::Missing, [Cell::Missing, Cell::Missing, Cell::Missing]));
        }
        for check in &row.checks {
            // the batch of all samples is the full gradient's own
            let is_all = check.batch_size == row.samples;
            let error = check.standard_error;
            let measured = if is_all { short(check.measured) } else { estimate(check.measured, error) };
            rows.push(line(
                check.batch_size.into(),
                [measured, short(check.predicted), decimals(check.ratio(), 3)],
            ));
        }
    }
    vec![Table::new("covariance", "Covariance of per-sample gradients", columns, rows)]
}
