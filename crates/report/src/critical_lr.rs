//! The critical learning rate along updates (Kalra and Barkeshli, 2024).

use walk_record::rows::{CriticalLr, CriticalLrOutcome};
use walk_record::{Run, Stamped};

use crate::curve::{Curve, StepValue, step_values};
use crate::spectrum::sharpness;
use crate::statistics::median;
use crate::table::{Table, detail, epochs_of, main, of_all, place, result, share, short};

/// One row per epoch: the outcomes of the searches, the medians of η_c and 2/η_c, η, and the number of updates with η > η_c.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let columns = [
        place("epoch", "epoch"),
        main("crossings", "crossings"),
        detail("no_descent", "no descent"),
        detail("no_crossing", "no crossing"),
        detail("critical_lr", "median critical lr"),
        result("critical_sharpness", "median 2 / critical lr"),
        detail("lr", "lr"),
        main("lr_above", "lr above critical"),
        detail("samples", "samples"),
    ];
    let rows = run.by_epoch::<CriticalLr>().into_values().map(|measured| {
        let count = |outcome| measured.iter().filter(|row| row.outcome == outcome).count();
        let above = |row: &&Stamped<'_, CriticalLr>| row.critical_lr.get().is_some_and(|lr| lr < row.lr);
        let crossings = count(CriticalLrOutcome::Crossing);
        vec![
            epochs_of(&measured),
            share(crossings, measured.len()),
            count(CriticalLrOutcome::NoDescent).into(),
            count(CriticalLrOutcome::NoCrossing).into(),
            short(median(measured.iter().map(|row| row.critical_lr))),
            short(median(measured.iter().map(|row| row.critical_sharpness))),
            short(median(measured.iter().map(|row| row.lr.into()))),
            share(measured.iter().filter(above).count(), crossings),
            of_all(measured[0].samples, measured[0].train_samples),
        ]
    });
    vec![Table::new("critical_lr", "Critical learning rate along updates", columns, rows)]
}

/// The critical sharpness 2/η_c by update on a logarithmic axis, with the level 2/η, at which the update itself brings the loss back to
/// where it started, and with the largest eigenvalue of the Hessian, if it was measured as well. With momentum or weight decay, 2/η
/// is not the stability threshold.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let mut curve = Curve::new("critical_lr", "Critical sharpness", "update", "2 / critical learning rate");
    curve.y.log = true;
    let own = step_values(run, |row: &CriticalLr| (2.0 / row.lr).into());
    let values = step_values(run, |row: &CriticalLr| row.critical_sharpness);
    let eigenvalues: Vec<StepValue> =
        sharpness(run).into_iter().filter(|found| !values.is_empty() && found.value > 0.0).collect();
    let largest = Curve { variant: "λ₁".into(), ..curve.clone().through(&eigenvalues) };
    curve
        .through(&values)
        .beside("2/η of the update", "2/η of the update", &own)
        .into_iter()
        .chain([largest])
        .collect()
}

#[cfg(test)]
mod tests {
    use walk_record::{BatchNorm, Measured};

    use super::*;
    use crate::fixture;

    #[test]
    fn outcomes_are_counted_and_medians_are_those_of_the_crossings() {
        let row = |outcome, critical_lr: Measured| CriticalLr {
            outcome,
            critical_lr,
            bracket_width: Measured::MISSING,
            critical_sharpness: critical_lr.get().map(|lr| 2.0 / lr).into(),
            lr: 0.1,
            largest_alpha: 2.0.into(),
            start_loss: 1.0.into(),
            evaluations: 9,
            samples: 10,
            train_samples: 10,
            batch_norm: BatchNorm::Batch,
            statistics_samples: None,
        };
        let found = [0.05, 0.2, 0.4].map(|lr| row(CriticalLrOutcome::Crossing, lr.into()));
        let not_found = [CriticalLrOutcome::NoDescent, CriticalLrOutcome::NoCrossing];
        let not_found = not_found.map(|outcome| row(outcome, Measured::MISSING));
        let rows = found.into_iter().chain(not_found).zip(1..);
        let run = fixture::run("mlp", rows.map(|(found, step)| fixture::row(1, step, found)));
        assert_eq!(
            tables(&run)[0].texts(),
            [["1", "3 / 5", "1", "1", "0.2000", "10.000", "0.1000", "1 / 3", "10"]]
        );
        let curves = curves(&run);
        assert_eq!(curves[0].points, [(1.0, 40.0), (2.0, 10.0), (3.0, 5.0)]);
        assert_eq!(curves[0].levels[0].at.to_string(), "20");
    }
}
