//! The device trait: everything needed to run networks.

use std::fmt::Debug;
use std::sync::Arc;

use walk_arch::Network;

use crate::{Batch, BatchNormMode, CoreError, Evaluator, Loss, Point};

/// A device that runs networks. Inputs (points and batches) and results are slices of numbers.
pub trait Backend: Debug {
    /// The name recorded with every run.
    fn name(&self) -> &'static str;

    /// `network`, trained for `loss`, at `point`.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network or the device fails.
    fn at<'a>(
        &'a self,
        network: &'a Arc<Network>,
        loss: Loss,
        point: &'a Point,
    ) -> Result<Box<dyn AtPoint + 'a>, CoreError>;

    /// An evaluator of losses without gradients.
    fn evaluator(&self, network: &Arc<Network>, loss: Loss) -> Box<dyn Evaluator>;

    /// Approximate peak memory of `pass` in bytes for `samples` samples, without θ and vectors of its size; `None` if unknown.
    fn bytes(&self, network: &Network, pass: PassKind, samples: usize) -> Option<usize>;
}

/// What is computed for a batch at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassKind {
    /// Losses, on a single thread.
    Evaluation,
    /// A gradient.
    Gradient,
    /// A Hessian-vector product.
    HessianVector,
}

/// A network at a point that is kept on the device, for computations on batches of samples.
///
/// # Errors
/// All of its methods return [`CoreError`] if a length does not fit the network, a label is out of range or the device fails.
pub trait AtPoint {
    /// Loss and gradient of the mean loss over `batch`, by reverse mode on dfdx's tape.
    #[expect(clippy::missing_errors_doc, reason = "they are those of the trait")]
    fn gradient(&self, batch: &Batch, mode: BatchNormMode) -> Result<BatchGradient, CoreError>;

    /// H v for the Hessian H of the mean loss over `batch`: the reverse pass over the directional derivative L'(θ; v)
    /// (Pearlmutter, 1994), exact up to rounding, including batch norm's statistics.
    #[expect(clippy::missing_errors_doc, reason = "they are those of the trait")]
    fn hessian_vector(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f32>, CoreError>;

    /// G v for the Gauss-Newton matrix G = 1/B Σ J_iᵀ ∇²ℓ(z_i) J_i of the mean loss over `batch`, with the Jacobians J_i of its outputs z_i
    /// (Schraudolph, 2002). For cross-entropy, also with label smoothing, G is the Fisher information of the softmax.
    #[expect(clippy::missing_errors_doc, reason = "they are those of the trait")]
    fn gauss_newton_vector(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f32>, CoreError>;

    /// F v for the empirical Fisher matrix F = 1/B Σ ∇ℓ_i ∇ℓ_iᵀ of the samples of `batch`, at their own labels.
    ///
    /// # Errors
    /// Also [`CoreError::BatchStatistics`] if the network has batch norms and `mode` is [`BatchNormMode::Batch`].
    fn empirical_fisher_vector(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f32>, CoreError>;

    /// ‖∇ℓ_i‖² of every sample of `batch`, the squared norms of the per-sample gradients, of length B.
    ///
    /// # Errors
    /// Also [`CoreError::BatchStatistics`] if the network has batch norms and `mode` is [`BatchNormMode::Batch`].
    fn sample_norms_sq(&self, batch: &Batch, mode: BatchNormMode) -> Result<Vec<f64>, CoreError>;

    /// ∇ℓ_i·v, the derivative of the loss of every sample of `batch` along `direction`, of length B.
    ///
    /// # Errors
    /// Also [`CoreError::BatchStatistics`] if the network has batch norms and `mode` is [`BatchNormMode::Batch`].
    fn sample_slopes(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f64>, CoreError>;

    /// By layer index, the statistics that the batch norms measure on `batch`.
    #[expect(clippy::missing_errors_doc, reason = "they are those of the trait")]
    fn statistics(&self, batch: &Batch) -> Result<Vec<(usize, BatchStatistics)>, CoreError>;
}

/// Mean and biased variance per feature or channel that a batch-norm layer measured on its batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// μ
    pub mean: Vec<f32>,
    /// σ²
    pub var: Vec<f32>,
    /// Number of values per channel: samples times pixels.
    pub count: usize,
}

/// Loss and gradient of a batch.
#[derive(Clone, Debug)]
pub struct BatchGradient {
    /// Per-sample losses.
    pub losses: Vec<f32>,
    /// Number of samples whose largest output is at their label.
    pub correct: usize,
    /// g_B = 1/B Σ ∂L_i/∂θ, of length P.
    pub grad: Vec<f32>,
    /// By layer index, the statistics measured by batch norms that used those of the batch.
    pub(crate) statistics: Vec<(usize, BatchStatistics)>,
}

impl BatchGradient {
    /// Mean loss of the batch, summed in f64.
    pub fn mean_loss(&self) -> f64 {
        self.losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / self.losses.len() as f64
    }
}
