//! The critical learning rate along updates (Kalra & Barkeshli, 2023).

use walk_record::rows::{CriticalLr, CriticalLrOutcome};
use walk_record::{Run, Stamped};

use crate::chart::{Chart, Rule};
use crate::curves::{curves, step_values};
use crate::figure::Figure;
use crate::statistics::median;
use crate::table::{Table, of_all, short};

/// One row per run and epoch: what the searches found, the medians of η_c and 2/η_c, η, and at how many updates η was above η_c.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    let header = [
        "",
        "epoch",
        "crossings",
        "no descent",
        "no crossing",
        "median critical lr",
        "median 2 / critical lr",
        "lr",
        "lr above it",
        "samples",
    ];
    let mut rows = vec![];
    for run in runs {
        for (epoch, measured) in run.by_epoch::<CriticalLr>() {
            let count = |outcome| measured.iter().filter(|row| row.outcome == outcome).count();
            let above = |row: &&Stamped<'_, CriticalLr>| row.critical_lr.get().is_some_and(|lr| lr < row.lr);
            let crossings = count(CriticalLrOutcome::Crossing);
            rows.push(vec![
                run.label.clone(),
                epoch.to_string(),
                format!("{crossings} / {}", measured.len()),
                count(CriticalLrOutcome::NoDescent).to_string(),
                count(CriticalLrOutcome::NoCrossing).to_string(),
                short(median(measured.iter().map(|row| row.critical_lr))),
                short(median(measured.iter().map(|row| row.critical_sharpness))),
                short(measured[0].lr),
                format!("{} / {crossings}", measured.iter().filter(above).count()),
                of_all(measured[0].samples, measured[0].train_samples),
            ]);
        }
    }
    vec![Table::new("critical_lr", header, rows)]
}

/// The critical sharpness 2/η_c against the update, a line per run, with the level 2/η, at which the update itself is back at the
/// loss where it began. With momentum or weight decay that is not the threshold of stability.
pub(crate) fn figures(runs: &[Run]) -> Vec<Figure> {
    let mut chart = Chart::new("Critical sharpness", "update", "2 / critical learning rate");
    let mut rates: Vec<f64> =
        runs.iter().filter_map(|run| Some(run.rows::<CriticalLr>().next()?.lr)).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    chart.rules = rates
        .iter()
        .map(|lr| Rule { label: Some(format!("2 / lr (the update), lr = {lr}")), ..Rule::across(2.0 / lr) })
        .collect();
    let sharpness = |run: &Run| step_values(run, |row: &CriticalLr| row.critical_sharpness);
    vec![curves("critical_lr", chart, runs, sharpness)]
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
        let tables = tables(std::slice::from_ref(&run));
        assert_eq!(
            tables[0].rows,
            [["mlp", "1", "3 / 5", "1", "1", "0.2000", "10.000", "0.1000", "1 / 3", "10"]]
        );
        let figures = figures(&[run]);
        assert_eq!(figures[0].chart.series[0].points, [(1.0, 40.0), (2.0, 10.0), (3.0, 5.0)]);
        assert_eq!(figures[0].chart.rules[0].at.to_string(), "20");
    }
}
