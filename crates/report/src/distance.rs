//! The distance from the initial point (Hoffer et al., 2017; paper, Figure 8).

use walk_record::Run;
use walk_record::rows::Distance;

use crate::curve::{Curve, StepValue, step_values};
use crate::statistics::{FitPoint, LineFit, Mean};
use crate::table::{Table, decimals, detail, epochs_of, main, place, result};

/// The distances of a run.
pub(crate) fn distances(run: &Run) -> Vec<StepValue> {
    step_values(run, |row: &Distance| row.distance)
}

/// b of the least squares fit distance = a + b ln t to distances after t updates; `None` for fewer than two different t.
pub(crate) fn log_slope(distances: &[StepValue]) -> Option<f64> {
    let point = |found: &StepValue| FitPoint { x: (found.step as f64).ln(), y: Mean::exact(found.value) };
    Some(LineFit::new(&distances.iter().map(point).collect::<Vec<FitPoint>>())?.slope.value)
}

/// One row per epoch: the distance at the epoch's last measured update, and the slope b of the fit distance = a + b ln t up to
/// there; distance from and cosine with the point of another run, if there is one.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let distances = distances(run);
    let rows = run.by_epoch::<Distance>().into_values().filter_map(|measured| {
        let last = measured.last()?;
        let so_far = distances.partition_point(|found| found.step <= last.at.step);
        let slope = log_slope(&distances[..so_far]);
        let other = last.other.as_ref();
        Some(vec![
            epochs_of(&measured),
            decimals(last.distance, 4),
            decimals(slope, 4),
            decimals(other.and_then(|other| other.distance.get()), 4),
            decimals(other.and_then(|other| other.cosine.get()), 4),
        ])
    });
    let columns = [
        place("epoch", "epoch"),
        result("distance", "‖θ − θ₀‖"),
        main("log_slope", "b in a + b ln t"),
        detail("other_distance", "distance from the other run"),
        detail("other_cosine", "cosine with the other run"),
    ];
    vec![Table::new("distance", "Distance from the initial point", columns, rows)]
}

/// The distance by update.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let mut curve = Curve::new("distance", "Distance from the initial point", "update", "‖θ − θ₀‖");
    // logarithmic growth is a straight line
    curve.x.log = true;
    vec![curve.through(&distances(run))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_logarithm_is_fitted_exactly_up_to_each_epoch() {
        let distance = |step: u64| fixture::distance(2.0 + 0.5 * (step as f64).ln());
        let rows = [(1, 1), (2, 2), (2, 3)].map(|(epoch, step)| fixture::row(epoch, step, distance(step)));
        let run = fixture::run("mlp", rows);
        assert!((log_slope(&distances(&run)).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(
            tables(&run)[0].texts(),
            [["1", "2.0000", "-", "-", "-"], ["2", "2.5493", "0.5000", "-", "-"]]
        );
    }
}
