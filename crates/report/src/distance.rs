//! The distance from the initial point (Hoffer et al., 2017; paper, Figure 8).

use walk_record::Run;
use walk_record::rows::Distance;

use crate::chart::Chart;
use crate::curves::{StepValue, curves, step_values};
use crate::figure::Figure;
use crate::statistics::{FitPoint, LineFit, Mean};
use crate::table::{Table, decimals};

/// The distances of a run.
pub(crate) fn distances(run: &Run) -> Vec<StepValue> {
    step_values(run, |row: &Distance| row.distance)
}

/// b of the least squares fit distance = a + b ln t to distances after t updates; `None` for fewer than two different t.
pub(crate) fn log_slope(distances: &[StepValue]) -> Option<f64> {
    let point = |found: &StepValue| FitPoint { x: (found.step as f64).ln(), y: Mean::exact(found.value) };
    Some(LineFit::new(&distances.iter().map(point).collect::<Vec<FitPoint>>())?.slope.value)
}

/// One row per run and epoch: the distance at the epoch's last measured update, and the slope b of the fit
/// distance = a + b ln t up to there.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    let mut rows = vec![];
    for run in runs {
        let distances = distances(run);
        for (epoch, measured) in run.by_epoch::<Distance>() {
            let Some(last) = measured.last() else { continue };
            let so_far = distances.partition_point(|found| found.step <= last.at.step);
            rows.push(vec![
                run.label.clone(),
                epoch.to_string(),
                decimals(last.distance, 4),
                decimals(log_slope(&distances[..so_far]).into(), 4),
            ]);
        }
    }
    vec![Table::new("distance", ["", "epoch", "distance", "b of a + b ln t"], rows)]
}

/// The distance against the update, a line per run.
pub(crate) fn figures(runs: &[Run]) -> Vec<Figure> {
    let mut chart = Chart::new("Distance from the initial point", "update", "distance");
    // growth like ln t is a straight line
    chart.x.log = true;
    vec![curves("distance", chart, runs, distances)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_logarithm_is_fitted_exactly_up_to_each_epoch() {
        let distance = |step: u64| Distance { distance: (2.0 + 0.5 * (step as f64).ln()).into() };
        let rows = [(1, 1), (2, 2), (2, 3)].map(|(epoch, step)| fixture::row(epoch, step, distance(step)));
        let run = fixture::run("mlp", rows);
        assert!((log_slope(&distances(&run)).unwrap() - 0.5).abs() < 1e-12);
        let tables = tables(&[run]);
        assert_eq!(tables[0].rows, [["mlp", "1", "2.0000", "-"], ["mlp", "2", "2.5493", "0.5000"]]);
    }
}
