//! Runs for tests.

use walk_record::rows::{Alignment, Distance, HessianOf, Interpolation, Kind, Mode, Noise};
use walk_record::{BatchNorm, ConfigValue, EvaluationData, Measured, Row, Run, Stamp, measured};

/// A run with a label.
pub(crate) fn run(label: &str, records: impl IntoIterator<Item = Row>) -> Run {
    Run { label: label.into(), records: records.into_iter().collect(), ..Run::default() }
}

/// Runs with these values (TOML) in their experiments, labeled by them.
pub(crate) fn swept(values: &[&[(&str, &str)]]) -> Vec<Run> {
    let run = |values: &&[(&str, &str)]| {
        let config = values.iter().map(|(key, value)| {
            let value = match (value.parse::<i64>(), value.parse::<f64>()) {
                (Ok(number), _) => number.into(),
                (_, Ok(number)) => number.into(),
                _ => (*value).into(),
            };
            ConfigValue { key: (*key).into(), value }
        });
        let path = values.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        Run { config: config.collect(), path: path.into(), ..run("mlp", []) }
    };
    let mut runs: Vec<Run> = values.iter().map(run).collect();
    Run::tell_apart(&mut runs);
    runs
}

pub(crate) fn row(epoch: u32, step: u64, kind: impl Into<Kind>) -> Row {
    Row { at: Stamp { epoch, iteration: step as u32, step }, kind: kind.into() }
}

/// An exact segment whose floor, at its end, has a loss of 1.5.
pub(crate) fn segment(barrier: bool, height: f64) -> Interpolation {
    Interpolation {
        alphas: vec![0.0, 0.5, 1.0],
        losses: measured(&[2.0, 2.0 + height, 1.5]),
        barrier: Some(barrier),
        height: height.into(),
        depth: 0.25.into(),
        min_alpha: 1.0.into(),
        min_loss: 1.5.into(),
        landing: Measured::MISSING,
        samples: 10,
        evaluations: 30,
        batch_norm: BatchNorm::Batch,
        statistics_samples: None,
        evaluation: EvaluationData::Fixed,
        mode: Mode::Exact,
        ended: None,
        depth_error: Measured::MISSING,
        min_loss_error: Measured::MISSING,
        height_error: Measured::MISSING,
        floor_move_error: Measured::MISSING,
        degrees_of_freedom: Measured::MISSING,
        audit: None,
        min_alpha_interval: None,
    }
}

/// The noise of a loss evaluated like those of [`segment`].
pub(crate) fn noise(sigma: f64) -> Noise {
    Noise {
        mean_loss: 1.0.into(),
        sigma: sigma.into(),
        evaluations: 3,
        batch_norm: BatchNorm::Batch,
        evaluation: EvaluationData::Fixed,
        by_sample: None,
        rounding: None,
    }
}

/// The alignment of 20 batches of a size out of 2,000 samples.
pub(crate) fn alignment(batch_size: usize, mean: f64, standard_error: Measured) -> Alignment {
    Alignment {
        batch_size,
        batches: 20,
        mean: mean.into(),
        deviation: Measured::MISSING,
        standard_error,
        ratio_of_means: Measured::MISSING,
        ratio_of_means_error: Measured::MISSING,
        predicted: Measured::MISSING,
        predicted_error: Measured::MISSING,
        grad_norm_sq: Measured::MISSING,
        stability_threshold: Measured::MISSING,
        small_batch_plateau: Measured::MISSING,
        hessian: HessianOf::Full,
        hessian_samples: 2000,
        train_samples: 2000,
        ratios: vec![],
    }
}

/// The distance from the initial point.
pub(crate) fn distance(distance: f64) -> Distance {
    Distance { distance: distance.into(), other: None }
}
