//! The angle between the gradients of consecutive updates (paper, Figure 7).

use walk_record::Run;
use walk_record::rows::Cosine;

use crate::chart::{Chart, Rule};
use crate::curves::{StepValue, curves, step_values};
use crate::figure::Figure;
use crate::statistics::mean;
use crate::table::Table;

/// The cosines of a run.
pub(crate) fn cosines(run: &Run) -> Vec<StepValue> {
    step_values(run, |row: &Cosine| row.cosine)
}

/// One row per run and epoch: the mean cosine, and how many are negative.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    let mut rows = vec![];
    for run in runs {
        for (epoch, measured) in run.by_epoch::<Cosine>() {
            let cosines: Vec<f64> = measured.iter().filter_map(|row| row.cosine.get()).collect();
            let negative = cosines.iter().filter(|&&cosine| cosine < 0.0).count();
            rows.push(vec![
                run.label.clone(),
                epoch.to_string(),
                format!("{:.4}", mean(&cosines)),
                format!("{negative} / {}", cosines.len()),
            ]);
        }
    }
    vec![Table::new("cosine", ["", "epoch", "mean cosine", "negative"], rows)]
}

/// The cosines against the update, a line per run.
pub(crate) fn figures(runs: &[Run]) -> Vec<Figure> {
    let chart = Chart::new("Consecutive gradients", "update", "cosine of consecutive gradients");
    vec![curves("cosine", Chart { rules: vec![Rule::across(0.0)], ..chart }, runs, cosines)]
}
