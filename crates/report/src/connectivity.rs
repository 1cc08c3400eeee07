//! Linear mode connectivity: the barrier between a run and its twins, by the update at which they split (Frankle et al., 2020).

use walk_record::rows::Connectivity;
use walk_record::{Measured, Run, Stamped};

use crate::curve::Curve;
use crate::table::{Table, decimals, detail, place, result, short};

/// The last measurement of each twin that has been trained by itself, in the order of splitting.
pub(crate) fn last(run: &Run) -> Vec<Stamped<'_, Connectivity>> {
    let Some(end) = run.rows::<Connectivity>().next_back().map(|row| row.at.step) else { return vec![] };
    run.rows::<Connectivity>().filter(|row| row.at.step == end && row.split_after < end).collect()
}

/// One row per measurement and twin: where it split, the barriers of loss and error on the line to it, its distance from the run, and
/// the angle between their displacements.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let fields = [
        place("split_after", "split after").of(|row: &Connectivity| (row.split_after as usize).into()),
        result("loss_barrier", "loss barrier").of(|row| short(row.loss_barrier)),
        result("error_barrier", "error barrier").of(|row| short(row.error_barrier)),
        detail("distance", "distance of twins").of(|row| short(row.distance)),
        detail("cosine", "cosine of displacements").of(|row| decimals(row.cosine, 4)),
    ];
    vec![Table::of_rows("connectivity", "Linear mode connectivity of twins", run, fields)]
}

/// The barriers at the last measurement, by the update at which the twin split.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let curve = |name: &str, what: &str, value: fn(&Connectivity) -> Measured| {
        let title = format!("{what} barrier between twins");
        let mut curve = Curve::new(name, title, "update at which they split", &format!("{what} barrier"));
        curve.x.integer = true;
        let points =
            last(run).into_iter().filter_map(|row| Some((row.split_after as f64, value(&row).get()?)));
        Curve { points: points.collect(), dots: true, ..curve }
    };
    vec![
        curve("connectivity", "Error", |row| row.error_barrier),
        curve("connectivity-loss", "Loss", |row| row.loss_barrier),
    ]
}

#[cfg(test)]
mod tests {
    use walk_record::BatchNorm;

    use super::*;
    use crate::fixture;

    #[test]
    fn the_figure_shows_the_last_measurement() {
        let row = |split_after: u64, barrier: f64| Connectivity {
            split_after,
            distance: 2.0.into(),
            cosine: 0.5.into(),
            alphas: vec![0.0, 0.5, 1.0],
            losses: vec![],
            errors: vec![],
            loss_barrier: barrier.into(),
            error_barrier: (0.1 * barrier).into(),
            samples: 10,
            batch_norm: BatchNorm::Batch,
            statistics_samples: None,
        };
        // the twin of update 9 is still the run itself
        let rows = [(5, 0, 3.0), (9, 0, 2.0), (9, 4, 1.0), (9, 9, 0.0)];
        let rows = rows.map(|(step, split_after, barrier)| fixture::row(1, step, row(split_after, barrier)));
        let run = fixture::run("mlp", rows);
        assert_eq!(curves(&run)[1].points, [(0.0, 2.0), (4.0, 1.0)]);
        assert_eq!(tables(&run)[0].texts()[2][2..], ["4", "1.000", "0.1000", "2.000", "0.5000"]);
    }
}
