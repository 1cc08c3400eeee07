//! Runs for tests.

use walk_record::rows::{Interpolation, Kind, Mode, Noise};
use walk_record::{BatchNorm, EvaluationData, Measured, Row, Run, Stamp, measured};

/// A run with a label.
pub(crate) fn run(label: &str, records: impl IntoIterator<Item = Row>) -> Run {
    Run { label: label.into(), records: records.into_iter().collect(), ..Run::default() }
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

/// The noise of a loss evaluated as those of [`segment`].
pub(crate) fn noise(sigma: f64) -> Noise {
    Noise {
        mean_loss: 1.0.into(),
        sigma: sigma.into(),
        evaluations: 3,
        batch_norm: BatchNorm::Batch,
        evaluation: EvaluationData::Fixed,
        rounding: None,
    }
}
