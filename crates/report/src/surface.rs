//! What single measurements found: the Hessian's spectrum, the gradients' covariance, lines, noise.

use crate::Summary;
use crate::table::{Table, or_dash, short};

/// One row per run and measurement: the largest eigenvalues with their residuals, the smallest, the gradient's share in the
/// span of the largest's eigenvectors, the trace, and 2/η.
///
/// `None` if no run measured any.
pub fn spectrum_table(runs: &[Summary]) -> Option<Table> {
    let header = [
        "",
        "epoch",
        "step",
        "largest eigenvalues",
        "residual, at most",
        "smallest",
        "share of |g|^2",
        "trace",
        "2 / lr",
        "products",
    ];
    let rows = runs.iter().flat_map(|run| {
        run.spectra.iter().map(move |row| {
            let values: Vec<String> = row.values.iter().map(|&value| short(value)).collect();
            vec![
                run.label.clone(),
                row.epoch.to_string(),
                row.step.to_string(),
                values.join(" "),
                short(row.residuals.iter().copied().fold(0.0, f64::max)),
                short(row.smallest[0]),
                format!("{:.3}", row.gradient_share),
                or_dash(row.trace.map(|[value, error]| format!("{} +- {}", short(value), short(error)))),
                short(row.two_over_lr),
                row.products.to_string(),
            ]
        })
    });
    Table::new("spectrum", header, rows)
}

/// One row per run and measurement, and one below it for each batch size that Eq. 3 was checked with: tr C and ‖ḡ‖²;
/// E‖g_B - ḡ‖² as measured and as (1/B - 1/N) tr C, and their ratio.
///
/// `None` if no run measured any.
pub fn covariance_table(runs: &[Summary]) -> Option<Table> {
    let header =
        ["", "epoch", "step", "tr C", "|g|^2", "from", "batch", "E|g_B - g|^2", "(1/B - 1/N) tr C", "ratio"];
    let mut rows = vec![];
    for (run, row) in runs.iter().flat_map(|run| run.covariances.iter().map(move |row| (run, row))) {
        let trace = match row.trace_error {
            0.0 => short(row.trace),
            error => format!("{} +- {}", short(row.trace), short(error)),
        };
        let from = format!("{} {}s of {}", row.count, row.unit, row.unit_size);
        let mut first = vec![
            run.label.clone(),
            row.epoch.to_string(),
            row.step.to_string(),
            trace,
            short(row.full_grad_norm_sq),
            if row.unit_size == 1 { format!("{} samples", row.count) } else { from },
        ];
        if row.checks.is_empty() {
            first.extend(["-", "-", "-", "-"].map(String::from));
            rows.push(std::mem::take(&mut first));
        }
        for check in &row.checks {
            let mut cells = std::mem::replace(&mut first, vec![String::new(); 6]);
            let ratio = check.measured / check.predicted;
            cells.extend([
                check.batch_size.to_string(),
                format!("{} +- {}", short(check.measured), short(check.standard_error)),
                short(check.predicted),
                if ratio.is_finite() { format!("{ratio:.3}") } else { "-".into() },
            ]);
            rows.push(cells);
        }
    }
    Table::new("covariance", header, rows)
}

/// One row per run and line: where it begins and how long it is, loss and error at its ends, how high the loss and the
/// error rise above the mean of the ends, and whether the loss never rises along it.
///
/// `None` if no run measured any.
pub fn line_table(runs: &[Summary]) -> Option<Table> {
    let header = [
        "",
        "epoch",
        "from",
        "length",
        "loss, ends",
        "error, ends",
        "loss barrier",
        "error barrier",
        "monotone",
    ];
    let ends = |values: &[f64]| match values {
        [first, .., last] => format!("{} to {}", short(*first), short(*last)),
        _ => "-".into(),
    };
    let rows = runs.iter().flat_map(|run| {
        run.lines.iter().map(move |row| {
            vec![
                run.label.clone(),
                row.epoch.to_string(),
                row.from.clone(),
                short(row.length),
                ends(&row.losses),
                ends(&row.errors),
                short(row.loss_barrier),
                short(row.error_barrier),
                if row.monotone { "yes".into() } else { "no".into() },
            ]
        })
    });
    Table::new("lines", header, rows)
}

/// One row per run and measurement of the noise of the loss at one point: its deviation over evaluations, and how far f32
/// lies from f64 on some samples.
///
/// `None` if no run measured any.
pub fn noise_table(runs: &[Summary]) -> Option<Table> {
    let header = [
        "",
        "epoch",
        "step",
        "data",
        "loss",
        "deviation",
        "evaluations",
        "f32 - f64, mean",
        "deviation",
        "samples",
    ];
    let rows = runs.iter().flat_map(|run| {
        run.noises.iter().map(move |row| {
            let rounding = row.rounding.as_ref();
            vec![
                run.label.clone(),
                row.epoch.to_string(),
                row.step.to_string(),
                row.evaluation.clone(),
                format!("{:.6}", row.mean_loss),
                format!("{:.1e}", row.sigma),
                row.evaluations.to_string(),
                or_dash(rounding.map(|of| format!("{:.1e}", of.mean))),
                or_dash(rounding.map(|of| format!("{:.1e}", of.sigma))),
                or_dash(rounding.map(|of| of.samples.to_string())),
            ]
        })
    });
    Table::new("noise", header, rows)
}
