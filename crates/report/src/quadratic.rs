//! The loss change of updates compared with its quadratic prediction.

use walk_record::rows::Quadratic;
use walk_record::{Measured, Run};

use crate::curve::{Curve, step_values};
use crate::statistics::mean;
use crate::table::{Table, epochs_of, main, of_all, place, result, share, short};

/// One row per epoch: the mean change of the loss by an update, its quadratic prediction and the two parts of that, and how many
/// updates raised the loss.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let columns = [
        place("epoch", "epoch"),
        result("change", "loss change"),
        main("predicted", "quadratic prediction"),
        main("slope", "ḡ·δ"),
        main("half_curvature", "½ δᵀHδ"),
        main("rises", "rises"),
        main("samples", "samples"),
    ];
    let rows = run.by_epoch::<Quadratic>().into_values().map(|measured| {
        let mean_of = |value: fn(&Quadratic) -> Measured| {
            mean(&measured.iter().filter_map(|row| value(row).get()).collect::<Vec<f64>>())
        };
        let rises = measured.iter().filter(|row| row.change.get().is_some_and(|change| change > 0.0)).count();
        vec![
            epochs_of(&measured),
            short(mean_of(|row| row.change)),
            short(mean_of(Quadratic::predicted)),
            short(mean_of(|row| row.slope)),
            short(0.5 * mean_of(|row| row.curvature).or_nan()),
            share(rises, measured.len()),
            of_all(measured[0].samples, measured[0].train_samples),
        ]
    });
    vec![Table::new("quadratic", "Loss changes and their quadratic prediction", columns, rows)]
}

/// The change of the loss by each update, and its quadratic prediction.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let curve = |variant: &str, value: fn(&Quadratic) -> Measured| {
        let curve = Curve::new("quadratic", "Loss change by an update", "update", "L(θₜ₊₁) − L(θₜ)");
        Curve { variant: variant.into(), ..curve.through(&step_values(run, value)) }
    };
    vec![curve("measured", |row| row.change), curve("quadratic prediction", Quadratic::predicted)]
}

#[cfg(test)]
mod tests {
    use walk_record::BatchNorm;

    use super::*;
    use crate::fixture;

    #[test]
    fn a_prediction_is_slope_and_half_the_curvature() {
        let row = |change: f64| Quadratic {
            change: change.into(),
            slope: (-1.0).into(),
            curvature: 1.0.into(),
            length_sq: 1.0.into(),
            samples: 10,
            train_samples: 10,
            batch_norm: BatchNorm::Batch,
        };
        let run = fixture::run("mlp", [fixture::row(1, 1, row(-0.5)), fixture::row(1, 2, row(0.25))]);
        let expected = ["1", "-0.1250", "-0.5000", "-1.000", "0.5000", "1 / 2", "10"];
        assert_eq!(tables(&run)[0].texts(), [expected]);
        assert_eq!(curves(&run)[1].points, [(1.0, -0.5), (2.0, -0.5)]);
    }
}
