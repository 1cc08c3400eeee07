//! The device trait: what is needed to run networks.

use std::sync::Arc;

use dfdx::prelude::*;
use rand::Rng;
use walk_arch::Network;
use walk_kernels::elementwise::dot;

use crate::{BatchNormMode, CoreError, Evaluator, Loss, Seed, Stream};

/// A batch of values on a device: one row per sample, `[rows, features]`.
pub type Rows<D, T = NoneTape, E = f32> = Tensor<(usize, usize), E, D, T>;
/// A flat vector on a device: θ, or one value per sample.
pub type Flat<D, T = NoneTape, E = f32> = Tensor<(usize,), E, D, T>;

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

/// The result of a forward pass.
#[derive(Debug)]
pub struct Forward<D: Device<E>, T, E: Dtype = f32> {
    /// The network's outputs, `[rows, classes]`.
    pub outputs: Rows<D, T, E>,
    /// By layer index, for batch-norm layers that used the batch's statistics.
    pub statistics: Vec<(usize, BatchStatistics)>,
}

/// A forward pass, and the tangent of its outputs if a direction was given.
pub(crate) struct DirectionalForward<D: Device<E>, T, E: Dtype = f32> {
    pub(crate) forward: Forward<D, T, E>,
    pub(crate) tangent: Option<Rows<D, NoneTape, E>>,
}

/// The random numbers of dropout in one training step: a function of seed, update, part of its samples and layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropoutDraw {
    /// The experiment's seed.
    pub seed: Seed,
    /// The update.
    pub step: u64,
    /// The part of the update's samples, counted from 0.
    pub part: u32,
}

impl DropoutDraw {
    /// For each of `len` elements of the value of layer `layer` 0 with probability `p`, 1 / (1 - p) otherwise.
    pub(crate) fn mask(self, p: f32, layer: usize, len: usize) -> Vec<f32> {
        let mut rng = self.seed.rng(Stream::Dropout, [self.step, u64::from(self.part) << 32 | layer as u64]);
        let kept = 1.0 / (1.0 - p);
        (0..len).map(|_| if rng.r#gen::<f32>() < p { 0.0 } else { kept }).collect()
    }
}

/// A network at a point, as a forward pass needs it.
#[derive(Debug)]
pub struct At<'a, D: Device<E>, E: Dtype = f32> {
    /// The network.
    pub network: &'a Network,
    /// θ
    pub theta: &'a Flat<D, NoneTape, E>,
    /// Running statistics.
    pub buffers: &'a [f32],
    /// Which statistics batch norm uses.
    pub mode: BatchNormMode,
    /// The random numbers of dropout, which does nothing without them.
    pub dropout: Option<DropoutDraw>,
}

// by hand, since the derived implementations would require D to be Copy
impl<D: Device<E>, E: Dtype> Clone for At<'_, D, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Device<E>, E: Dtype> Copy for At<'_, D, E> {}

/// A dfdx device with an implementation of every layer on it.
///
/// `T` is dfdx's tape; with one, gradients can be computed afterwards.
pub trait Backend: Clone + std::fmt::Debug + 'static {
    /// The dfdx device.
    type Device: Device<f32>;

    /// The name recorded with every run.
    const NAME: &'static str;

    /// The device.
    fn device(&self) -> &Self::Device;

    /// The outputs for a batch of inputs, `[rows, input length]`, channels first.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn forward<T: Tape<f32, Self::Device>>(
        &self,
        at: At<'_, Self::Device>,
        inputs: Rows<Self::Device>,
    ) -> Result<Forward<Self::Device, T>, CoreError>;

    /// The loss of every sample, `[rows]`.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn losses<T: Tape<f32, Self::Device>>(
        &self,
        outputs: Rows<Self::Device, T>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Flat<Self::Device, T>, CoreError>;

    /// ∇ℓ_i·v, the derivative of every sample's loss along `direction`, a direction v of θ, `[rows]`. With a tape its
    /// reverse pass gives Hv.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn directional_losses<T: Tape<f32, Self::Device>>(
        &self,
        at: At<'_, Self::Device>,
        inputs: Rows<Self::Device>,
        direction: &Flat<Self::Device>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Flat<Self::Device, T>, CoreError>;

    /// ‖∇ℓ_i‖² of every sample's own loss. Batch norm must not use the batch's statistics, with which no sample has a
    /// gradient of its own.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn sample_norms_sq(
        &self,
        at: At<'_, Self::Device>,
        inputs: Rows<Self::Device>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Vec<f64>, CoreError> {
        let features = inputs.shape().1;
        let values = inputs.as_vec();
        let samples = values.chunks_exact(features).zip(labels);
        let one = |(values, &label): (&[f32], &usize)| {
            let row = self.device().try_tensor_from_vec(values.to_vec(), (1, features));
            let forward =
                self.forward::<OwnedTape<f32, Self::Device>>(at, row.map_err(CoreError::device)?)?;
            let losses = self.losses(forward.outputs, &[label], loss)?;
            let sum = losses.try_sum::<Rank0, Axis<0>>().map_err(CoreError::device)?;
            let grad = self.take_gradient(sum.try_backward().map_err(CoreError::device)?, at.theta)?;
            Ok(dot(&grad, &grad))
        };
        samples.map(one).collect()
    }

    /// Takes ∂/∂θ from the gradients of a backward pass.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn take_gradient(
        &self,
        gradients: Gradients<f32, Self::Device>,
        theta: &Flat<Self::Device>,
    ) -> Result<Vec<f32>, CoreError> {
        let mut grad = vec![0.0; theta.shape().0];
        gradients.get(theta).copy_into(&mut grad);
        Ok(grad)
    }

    /// An evaluator of losses without gradients.
    fn evaluator(&self, network: &Arc<Network>, loss: Loss) -> Box<dyn Evaluator>;
}
