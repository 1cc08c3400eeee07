//! The one device trait: what a place that runs networks must be able to do.

use std::ops::Range;
use std::sync::Arc;

use dfdx::shapes::HasShape;
use dfdx::tensor::{Gradients, NoneTape, Tape, Tensor};
use dfdx::tensor_ops::Device;
use walk_arch::{Activation, Network};

use crate::composite;
use crate::evaluate::{Evaluator, PlainEvaluator};
use crate::{CoreError, Loss};

/// A batch of values on a device: one row per sample, `[rows, features]`.
pub type Rows<D, T = NoneTape> = Tensor<(usize, usize), f32, D, T>;
/// A flat vector on a device: θ, or one value per sample.
pub type Flat<D, T = NoneTape> = Tensor<(usize,), f32, D, T>;

/// What a batch-norm layer gives: its values, and the statistics if they are the batch's.
pub type Normed<D, T> = (Rows<D, T>, Option<BatchStatistics>);

/// A linear layer's shape and place in θ.
#[derive(Clone, Debug)]
pub struct LinearLayer {
    /// Length of an input row.
    pub in_features: usize,
    /// Length of an output row.
    pub out_features: usize,
    /// W, `[out_features, in_features]`.
    pub weight: Range<usize>,
    /// b, `[out_features]`.
    pub bias: Range<usize>,
}

/// A batch-norm layer's place in θ, and the statistics it is to use.
#[derive(Clone, Debug)]
pub struct NormLayer {
    /// γ
    pub scale: Range<usize>,
    /// β
    pub shift: Range<usize>,
    /// ε
    pub eps: f32,
    /// Running mean and variance; `None` normalises by the batch's own.
    pub running: Option<(Vec<f32>, Vec<f32>)>,
}

/// Mean and biased variance per feature that a batch-norm layer measured on its batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// μ
    pub mean: Vec<f32>,
    /// σ²
    pub var: Vec<f32>,
}

/// A place that runs networks: a dfdx device and a version of every layer on it.
///
/// The provided methods are compositions of stable dfdx operations, right on any device; a backend overrides those
/// it has something faster for. `T` is dfdx's tape: with one, gradients can be had afterwards.
pub trait Backend: Clone + std::fmt::Debug + 'static {
    /// The dfdx device.
    type Device: Device<f32>;

    /// The name recorded with every run.
    const NAME: &'static str;

    /// The device.
    fn device(&self) -> &Self::Device;

    /// x Wᵀ + b.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn linear<T: Tape<f32, Self::Device>>(
        &self,
        x: Rows<Self::Device, T>,
        theta: &Flat<Self::Device>,
        layer: &LinearLayer,
    ) -> Result<Rows<Self::Device, T>, CoreError> {
        composite::linear(x, theta, layer)
    }

    /// γ (x - μ) / √(σ² + ε) + β, and the statistics if they are the batch's.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn batch_norm<T: Tape<f32, Self::Device>>(
        &self,
        x: Rows<Self::Device, T>,
        theta: &Flat<Self::Device>,
        layer: &NormLayer,
    ) -> Result<Normed<Self::Device, T>, CoreError> {
        composite::batch_norm(self.device(), x, theta, layer)
    }

    /// f(x), element by element.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn activation<T: Tape<f32, Self::Device>>(
        &self,
        x: Rows<Self::Device, T>,
        activation: Activation,
    ) -> Result<Rows<Self::Device, T>, CoreError> {
        composite::activation(x, activation)
    }

    /// a + b.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn add<T: Tape<f32, Self::Device>>(
        &self,
        a: Rows<Self::Device, T>,
        b: Rows<Self::Device>,
    ) -> Result<Rows<Self::Device, T>, CoreError> {
        composite::add(a, b)
    }

    /// The loss of every sample, `[rows]`.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn losses<T: Tape<f32, Self::Device>>(
        &self,
        outputs: Rows<Self::Device, T>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Flat<Self::Device, T>, CoreError> {
        composite::losses(self.device(), outputs, labels, loss)
    }

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
