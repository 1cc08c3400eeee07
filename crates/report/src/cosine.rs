//! The angle between the gradients of consecutive updates (paper, Figure 7).

use walk_record::Run;
use walk_record::rows::Cosine;

use crate::curve::{Curve, Level, StepValue, step_values};
use crate::statistics::mean;
use crate::table::{Table, decimals, epochs_of, main, place, result, share};

/// The cosines of a run.
pub(crate) fn cosines(run: &Run) -> Vec<StepValue> {
    step_values(run, |row: &Cosine| row.cosine)
}

/// One row per epoch: the mean cosine, and how many are negative.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let rows = run.by_epoch::<Cosine>().into_values().map(|measured| {
        let cosines: Vec<f64> = measured.iter().filter_map(|row| row.cosine.get()).collect();
        let negative = cosines.iter().filter(|&&cosine| cosine < 0.0).count();
        vec![epochs_of(&measured), decimals(mean(&cosines), 4), share(negative, cosines.len())]
    });
    let columns = [place("epoch", "epoch"), result("cosine", "mean cosine"), main("negative", "negative")];
    vec![Table::new("cosine", "Cosine of consecutive gradients", columns, rows)]
}

/// The cosine against the update.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let curve = Curve::new("cosine", "Cosine of consecutive gradients", "update", "cos(gₜ, gₜ₊₁)");
    vec![Curve { levels: vec![Level::new("", 0.0)], ..curve.through(&cosines(run)) }]
}
