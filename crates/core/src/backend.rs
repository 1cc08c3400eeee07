//! The one device trait: what a place that runs networks must be able to do.

use std::sync::Arc;

use dfdx::shapes::HasShape;
use dfdx::tensor::{Gradients, NoneTape, Tape, Tensor};
use dfdx::tensor_ops::Device;
use rand::Rng;
use walk_arch::Network;

use crate::evaluate::{Evaluator, PlainEvaluator};
use crate::{BatchNormMode, CoreError, Loss, Seed, Stream};

/// A batch of values on a device: one row per sample, `[rows, features]`.
pub type Rows<D, T = NoneTape> = Tensor<(usize, usize), f32, D, T>;
/// A flat vector on a device: θ, or one value per sample.
pub type Flat<D, T = NoneTape> = Tensor<(usize,), f32, D, T>;

/// Mean and biased variance per feature or channel that a batch-norm layer measured on its batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// μ
    pub mean: Vec<f32>,
    /// σ²
    pub var: Vec<f32>,
    /// Values behind each: samples times pixels.
    pub count: usize,
}

/// What a forward pass leaves.
#[derive(Debug)]
pub struct Forward<D: Device<f32>, T> {
    /// The network's outputs, `[rows, classes]`.
    pub outputs: Rows<D, T>,
    /// By layer index, for batch-norm layers that used the batch's statistics.
    pub statistics: Vec<(usize, BatchStatistics)>,
}

/// What dropout leaves out in one training step: a function of seed, update, part of its samples and layer.
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
        let mut rng = self.seed.rng(Stream::Dropout, self.step, u64::from(self.part) << 32 | layer as u64);
        let kept = 1.0 / (1.0 - p);
        (0..len).map(|_| if rng.r#gen::<f32>() < p { 0.0 } else { kept }).collect()
    }
}

/// A network at a point, as a forward pass needs it.
#[derive(Clone, Copy, Debug)]
pub struct At<'a, D: Device<f32>> {
    /// The network.
    pub network: &'a Network,
    /// θ
    pub theta: &'a Flat<D>,
    /// Running statistics.
    pub buffers: &'a [f32],
    /// Which statistics batch norm uses.
    pub mode: BatchNormMode,
    /// What dropout leaves out; nothing if there is none.
    pub dropout: Option<DropoutDraw>,
}

/// A place that runs networks: a dfdx device and a version of every layer on it.
///
/// `T` is dfdx's tape: with one, gradients can be had afterwards.
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

    /// ∂/∂θ out of the gradients of a backward pass.
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

    /// What evaluates losses without a gradient.
    fn evaluator(&self, network: &Arc<Network>, loss: Loss) -> Box<dyn Evaluator> {
        Box::new(PlainEvaluator::new(self.clone(), network.clone(), loss))
    }
}
