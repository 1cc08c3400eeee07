//! The records of `metrics.jsonl`, one JSON object per line with a `kind`.
//!
//! Every row says where it was measured: `epoch` from 1, `iteration` from 1 within the epoch, `step` updates made.

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Row {
    /// One update.
    Train(TrainRow),
    /// The loss along one update.
    Interpolation(InterpolationRow),
    /// The spread of the loss at one point.
    Noise(NoiseRow),
    /// The angle between consecutive gradients.
    Cosine(CosineRow),
    /// The distance from the start.
    Distance(DistanceRow),
    /// How gradients lie to the Hessian.
    Alignment(AlignmentRow),
    /// How gradients spread over samples.
    Covariance(CovarianceRow),
    /// Eigenvalues of the Hessian.
    Spectrum(SpectrumRow),
    /// The loss along a line.
    Line(LineRow),
    /// The loss on a plane.
    Plane(PlaneRow),
    /// The order of an epoch's samples.
    Order(OrderRow),
    /// The end of an epoch.
    Epoch(EpochRow),
}

impl Row {
    /// Its kind, as written: for what a probe measured, the probe's name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Train(_) => "train",
            Self::Interpolation(_) => "interpolation",
            Self::Noise(_) => "noise",
            Self::Cosine(_) => "cosine",
            Self::Distance(_) => "distance",
            Self::Alignment(_) => "alignment",
            Self::Covariance(_) => "covariance",
            Self::Spectrum(_) => "spectrum",
            Self::Line(_) => "line",
            Self::Plane(_) => "plane",
            Self::Order(_) => "order",
            Self::Epoch(_) => "epoch",
        }
    }

    /// Where it was measured: epoch, iteration within it, and updates made.
    pub const fn at(&self) -> (u32, u32, u64) {
        macro_rules! at {
            ($($kind:ident)*) => {
                match self {
                    $(Self::$kind(row) => (row.epoch, row.iteration, row.step),)*
                }
            };
        }
        at!(Train Interpolation Noise Cosine Distance Alignment Covariance Spectrum Line Plane Order Epoch)
    }
}

/// One update of the parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// Mean loss of the batch before the update.
    pub loss: f64,
    /// ‖g‖₂ of the batch's gradient, without weight decay.
    pub grad_norm: f64,
    /// η
    pub lr: f64,
}

/// The loss on the line from θ before to θ after one update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterpolationRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// Positions, from 0 (before) to 1 (after).
    pub alphas: Vec<f64>,
    /// Mean loss at each.
    pub losses: Vec<f64>,
    /// Whether an interior loss lies above both ends.
    pub barrier: bool,
    /// Highest interior loss, less the higher end.
    pub height: f64,
    /// Mean of the ends, less the lowest loss.
    pub depth: f64,
    /// Position of the lowest loss.
    pub min_alpha: f64,
    /// The lowest loss.
    pub min_loss: f64,
    /// Where the step lands on its fitted parabola: -1 at the start, 0 at the floor, 1 on the opposite wall; none if the
    /// curve is no valley.
    pub landing: Option<f64>,
    /// Samples behind each loss; in adaptive mode behind those at the ends.
    pub samples: usize,
    /// Samples evaluated at all positions together.
    pub evaluations: usize,
    /// Statistics of batch norm: `batch` or `running`.
    pub batch_norm: String,
    /// What each loss was evaluated on: `fixed`, or `paper` for samples drawn, cropped and flipped anew.
    pub evaluation: String,
    /// `exact`, or `adaptive` for a verdict on a part of the samples.
    pub mode: String,
    /// In adaptive mode how the verdict came about: `no_barrier`, `barrier`, or `exact` if all samples were needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// In adaptive mode the standard error of `depth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth_error: Option<f64>,
    /// In adaptive mode the standard error of `min_loss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_loss_error: Option<f64>,
    /// In adaptive mode the least and largest position that may be the lowest, at two standard errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_alpha_interval: Option<[f64; 2]>,
}

/// The spread of the loss at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// Mean of the evaluations.
    pub mean_loss: f64,
    /// Their standard deviation.
    pub sigma: f64,
    /// How many there were.
    pub evaluations: usize,
    /// Statistics of batch norm: `batch` or `running`.
    pub batch_norm: String,
    /// `fixed`: rounding alone; `paper`: samples drawn, cropped and flipped anew.
    pub evaluation: String,
    /// The evaluations against ones in f64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
}

/// How far losses computed in f32 lie from the same losses computed in f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rounding {
    /// Samples behind each loss.
    pub samples: usize,
    /// Mean of the differences, f32 less f64.
    pub mean: f64,
    /// Their standard deviation.
    pub sigma: f64,
}

/// The angle between the gradients of an update and the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CosineRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// g_t·g_{t-1} / (‖g_t‖ ‖g_{t-1}‖); none where a gradient is 0.
    pub cosine: Option<f64>,
    /// The same with λθ added to each gradient.
    pub cosine_with_decay: Option<f64>,
}

/// How far θ is from where it started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistanceRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// ‖θ - θ_0‖₂ after the update.
    pub distance: f64,
}

/// How gradients of one batch size lie to the Hessian, after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlignmentRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// B
    pub batch_size: usize,
    /// Batches drawn.
    pub batches: usize,
    /// Mean of gᵀHg / gᵀg.
    pub mean: f64,
    /// Its standard deviation over batches.
    pub deviation: f64,
    /// The mean's standard error.
    pub standard_error: f64,
    /// Mean of gᵀHg over mean of gᵀg.
    pub ratio_of_means: f64,
    /// Its standard error (delta method).
    pub ratio_of_means_error: f64,
    /// What Eq. 3 predicts for the ratio of means from the whole set's gradient and the other batch sizes, and its standard
    /// error from theirs; none where there is no other size, or the Hessian is the batch's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<[f64; 2]>,
    /// Mean of gᵀg.
    pub grad_norm_sq: f64,
    /// 2 / η
    pub two_over_lr: f64,
    /// Whose Hessian: `full` for the training loss, `batch` for the batch's own.
    pub hessian: String,
    /// Samples behind it.
    pub hessian_samples: usize,
    /// gᵀHg / gᵀg of each batch.
    pub ratios: Vec<f64>,
}

/// How the gradients of single samples spread, after an update: C is their covariance, so that for batches drawn without
/// replacement cov(g_B) = (1/B - 1/N) C (paper, Eq. 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CovarianceRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// tr C, with N - 1 in the denominator.
    pub trace: f64,
    /// Its standard error as an estimate from `count` units; 0 where they are all samples.
    pub trace_error: f64,
    /// ‖ḡ‖², of the mean loss of all N samples.
    pub full_grad_norm_sq: f64,
    /// N
    pub samples: usize,
    /// What gradients were taken of: `sample`, or `chunk` where batch norm leaves no sample a gradient of its own.
    pub unit: String,
    /// Samples in a unit.
    pub unit_size: usize,
    /// Units.
    pub count: usize,
    /// Statistics of batch norm: `batch` or `running`.
    pub batch_norm: String,
    /// E‖g_B - ḡ‖² by batch size, against Eq. 3.
    pub checks: Vec<VarianceCheck>,
}

/// How far gradients of batches lay from ḡ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VarianceCheck {
    /// B
    pub batch_size: usize,
    /// Batches drawn.
    pub batches: usize,
    /// Mean of ‖g_B - ḡ‖².
    pub measured: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// (1/B - 1/N) tr C
    pub predicted: f64,
}

/// Eigenvalues of the Hessian of the training loss, after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpectrumRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// The largest eigenvalues, largest first; of one that comes several times some copies may be missing.
    pub values: Vec<f64>,
    /// ‖Hv - λv‖ of each: an eigenvalue lies within that.
    pub residuals: Vec<f64>,
    /// The smallest Ritz value and its residual.
    pub smallest: [f64; 2],
    /// Products with the Hessian that took.
    pub products: usize,
    /// ‖ḡ‖², of the mean loss of the same samples.
    pub grad_norm_sq: f64,
    /// The share of ‖ḡ‖² in the span of the values' eigenvectors.
    pub gradient_share: f64,
    /// tr H by Hutchinson's estimate, and its standard error; none without random vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<[f64; 2]>,
    /// The spectral density by stochastic Lanczos quadrature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// 2 / η
    pub two_over_lr: f64,
    /// Samples behind the Hessian.
    pub samples: usize,
    /// Statistics of batch norm: `batch` or `running`.
    pub batch_norm: String,
}

/// A spectral density as weighted points: for each random vector nodes and weights that sum to 1. Their mean over the
/// vectors is the estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// Ritz values, by random vector.
    pub nodes: Vec<Vec<f64>>,
    /// Their weights.
    pub weights: Vec<Vec<f64>>,
}

/// The loss along the line from some point to that after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// Where it begins: `start` for θ_0, or the checkpoint's file.
    pub from: String,
    /// ‖θ - θ_from‖₂
    pub length: f64,
    /// Positions, from 0 (there) to 1 (here).
    pub alphas: Vec<f64>,
    /// Mean loss at each.
    pub losses: Vec<f64>,
    /// Share of the samples classified wrong at each.
    pub errors: Vec<f64>,
    /// Largest loss less the mean of the ends' (linear mode connectivity).
    pub loss_barrier: f64,
    /// The same of the errors.
    pub error_barrier: f64,
    /// Whether the loss never rises from one position to the next.
    pub monotone: bool,
    /// Samples behind each.
    pub samples: usize,
    /// Statistics of batch norm: `batch` or `running`.
    pub batch_norm: String,
}

/// The loss on a plane through the point after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaneRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// `random`: filter-normalised; `principal`: the trajectory's principal components.
    pub directions: String,
    /// Positions along the first direction.
    pub x: Vec<f64>,
    /// Positions along the second.
    pub y: Vec<f64>,
    /// Mean loss, a list of x for each y.
    pub losses: Vec<Vec<f64>>,
    /// The shares of the trajectory's variation along principal directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<[f64; 2]>,
    /// The trajectory seen in the plane of principal directions, first point first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trajectory: Vec<[f64; 2]>,
    /// Samples behind each loss.
    pub samples: usize,
    /// Statistics of batch norm: `batch` or `running`.
    pub batch_norm: String,
}

/// The order in which an epoch visits the training samples, by their place in the training part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// 0: before the epoch's first update.
    pub iteration: u32,
    /// Updates made.
    pub step: u64,
    /// The samples, one batch after the other.
    pub samples: Vec<usize>,
}

/// The end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Updates in the epoch.
    pub iteration: u32,
    /// Updates made.
    pub step: u64,
    /// Mean of the batches' losses during the epoch.
    pub train_loss: f64,
    /// Mean loss of the validation samples at its end, batch norm on running statistics.
    pub valid_loss: f64,
    /// Share of the validation samples classified right.
    pub valid_accuracy: f64,
}
