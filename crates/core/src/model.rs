//! A network on a backend: loss and gradient at a point.

use std::ops::Range;
use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::{Network, Op};
use walk_kernels::memory::copied;

use crate::backend::{At, Flat, Rows};
use crate::composite::CompositeEvaluator;
use crate::evaluate::{check_evaluation, check_labels, chunk_range};
use crate::init::initial_params;
use crate::{
    Backend, Batch, BatchNormMode, BatchStatistics, CoreError, Evaluator, Loss, Point, Samples, Seed,
};

/// Loss and gradient of a batch.
#[derive(Clone, Debug)]
pub struct BatchGradient {
    /// Per-sample losses.
    pub losses: Vec<f32>,
    /// g_B = 1/B Σ ∂L_i/∂θ, of length P.
    pub grad: Vec<f32>,
    statistics: Vec<(usize, BatchStatistics)>,
}

impl BatchGradient {
    /// Mean loss of the batch, summed in f64.
    pub fn mean_loss(&self) -> f64 {
        self.losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / self.losses.len() as f64
    }
}

/// θ and a batch's inputs on a device.
struct Uploaded<D: Device<f32>> {
    theta: Flat<D>,
    inputs: Rows<D>,
}

/// A network that runs on a backend.
#[derive(Clone, Debug)]
pub struct Model<B> {
    backend: B,
    network: Arc<Network>,
    loss: Loss,
}

impl<B: Backend> Model<B> {
    /// A model of `network`, trained for `loss`.
    pub fn new(backend: B, network: Network, loss: Loss) -> Self {
        Self { backend, network: Arc::new(network), loss }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// An evaluator of its loss without gradients.
    pub fn evaluator(&self) -> Box<dyn Evaluator> {
        self.backend.evaluator(&self.network, self.loss)
    }

    /// A slow evaluator in f64 throughout, by dfdx's operations on the CPU: the reference that the other's rounding is
    /// measured against.
    pub fn reference(&self) -> Box<dyn Evaluator> {
        Box::new(CompositeEvaluator::<f64, _>::new(Cpu::default(), self.network.clone(), self.loss))
    }

    /// θ_0 and fresh buffers.
    pub fn initial(&self, seed: Seed) -> Point {
        Point { params: initial_params(&self.network, seed), buffers: self.network.initial_buffers() }
    }

    /// Loss and gradient of the mean loss over `batch`, by reverse mode on dfdx's tape.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network, a label is out of range or the device fails.
    pub fn gradient(
        &self,
        point: &Point,
        batch: &Batch,
        mode: BatchNormMode,
    ) -> Result<BatchGradient, CoreError> {
        let Uploaded { theta, inputs } = self.upload(point, batch)?;
        let at = self.at(point, &theta, mode, batch);
        let forward = self.backend.forward::<OwnedTape<f32, B::Device>>(at, inputs)?;
        let losses = self.backend.losses(forward.outputs, &batch.labels, self.loss)?;
        let mut values = vec![0.0; batch.labels.len()];
        losses.copy_into(&mut values);
        let grad = self.reverse(losses, &theta)?;
        Ok(BatchGradient { losses: values, grad, statistics: forward.statistics })
    }

    /// H v for the Hessian H of the mean loss over `batch`: the reverse pass over the directional derivative L'(θ; v)
    /// (Pearlmutter, 1994), exact but for rounding, batch norm's statistics included.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network, a label is out of range or the device fails.
    pub fn hessian_vector(
        &self,
        point: &Point,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f32>, CoreError> {
        let direction = self.direction(direction)?;
        let Uploaded { theta, inputs } = self.upload(point, batch)?;
        let at = self.at(point, &theta, mode, batch);
        let losses = self.backend.directional_losses::<OwnedTape<f32, B::Device>>(
            at,
            inputs,
            &direction,
            &batch.labels,
            self.loss,
        )?;
        self.reverse(losses, &theta)
    }

    /// Whether the loss of a sample depends on that sample alone: with batch norm on batch statistics it does not.
    pub fn samples_have_gradients(&self, mode: BatchNormMode) -> bool {
        mode == BatchNormMode::Running || !self.network.has_batch_norm()
    }

    /// ‖∇ℓ_i‖² of every sample of `batch`, the squared norms of the gradients of their own losses, of length B.
    ///
    /// # Errors
    /// [`CoreError::BatchStatistics`] if the network has batch norms and `mode` is [`BatchNormMode::Batch`], [`CoreError`] if
    /// a length does not fit the network, a label is out of range or the device fails.
    pub fn sample_norms_sq(
        &self,
        point: &Point,
        batch: &Batch,
        mode: BatchNormMode,
    ) -> Result<Vec<f64>, CoreError> {
        if !self.samples_have_gradients(mode) {
            return Err(CoreError::BatchStatistics);
        }
        let Uploaded { theta, inputs } = self.upload(point, batch)?;
        let at = self.at(point, &theta, mode, batch);
        self.backend.sample_norms_sq(at, inputs, &batch.labels, self.loss)
    }

    /// ∇ℓ_i·v, the derivative of the own loss of every sample of `batch` along `direction`, of length B.
    ///
    /// # Errors
    /// [`CoreError::BatchStatistics`] if the network has batch norms and `mode` is [`BatchNormMode::Batch`], [`CoreError`] if
    /// a length does not fit the network, a label is out of range or the device fails.
    pub fn sample_slopes(
        &self,
        point: &Point,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f64>, CoreError> {
        if !self.samples_have_gradients(mode) {
            return Err(CoreError::BatchStatistics);
        }
        let Uploaded { theta, inputs } = self.upload(point, batch)?;
        let direction = self.direction(direction)?;
        let at = self.at(point, &theta, mode, batch);
        let slopes =
            self.backend.directional_losses::<NoneTape>(at, inputs, &direction, &batch.labels, self.loss)?;
        let mut values = vec![0.0; batch.labels.len()];
        slopes.copy_into(&mut values);
        Ok(values.into_iter().map(f64::from).collect())
    }

    /// A direction of θ on the device.
    fn direction(&self, direction: &[f32]) -> Result<Flat<B::Device>, CoreError> {
        CoreError::check_length("the direction", direction.len(), self.network.n_params())?;
        let direction = self.backend.device().try_tensor_from_vec(direction.to_vec(), (direction.len(),));
        direction.map_err(CoreError::device)
    }

    /// The network at a point, with the dropout of `batch`.
    fn at<'a>(
        &'a self,
        point: &'a Point,
        theta: &'a Flat<B::Device>,
        mode: BatchNormMode,
        batch: &Batch,
    ) -> At<'a, B::Device> {
        At { network: &self.network, theta, buffers: &point.buffers, mode, dropout: batch.dropout }
    }

    /// θ and a batch's inputs on the device, after every length and label is checked.
    fn upload(&self, point: &Point, batch: &Batch) -> Result<Uploaded<B::Device>, CoreError> {
        let problem = self.network.problem();
        let features: usize = problem.input.iter().product();
        let rows = batch.labels.len();
        if rows == 0 {
            return Err(CoreError::EmptyBatch);
        }
        CoreError::check_length("the batch's input", batch.inputs.len(), rows * features)?;
        CoreError::check_length("the parameter vector", point.params.len(), self.network.n_params())?;
        CoreError::check_length("the buffer vector", point.buffers.len(), self.network.n_buffers())?;
        check_labels(&batch.labels, problem.classes, 0)?;
        let device = self.backend.device();
        let theta = device.try_tensor_from_vec(copied(&point.params), (point.params.len(),));
        let theta = theta.map_err(CoreError::device)?;
        let inputs = device.try_tensor_from_vec(copied(&batch.inputs), (rows, features));
        Ok(Uploaded { theta, inputs: inputs.map_err(CoreError::device)? })
    }

    /// The gradient by θ of the mean of `losses`.
    fn reverse(
        &self,
        losses: Flat<B::Device, OwnedTape<f32, B::Device>>,
        theta: &Flat<B::Device>,
    ) -> Result<Vec<f32>, CoreError> {
        let backward = || losses.try_mean::<Rank0, Axis<0>>()?.try_backward();
        self.backend.take_gradient(backward().map_err(CoreError::device)?, theta)
    }

    /// Moves the running statistics toward a batch's: r ← (1 - m) r + m s, with the unbiased variance.
    pub fn update_buffers(&self, buffers: &mut [f32], gradient: &BatchGradient) {
        self.visit_statistics(&gradient.statistics, |momentum, place, measured, factor| {
            for (running, &measured) in buffers[place].iter_mut().zip(measured) {
                *running += momentum * (factor * measured - *running);
            }
        });
    }

    /// Gives `point` the running statistics that belong to its parameters: the mean, weighted by samples, of the mean and the
    /// unbiased variance that each chunk of `chunk` of the samples has there, summed in f64. As PyTorch's `update_bn`.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network, there are no samples or the device fails.
    pub fn restate(&self, point: &mut Point, samples: &dyn Samples, chunk: usize) -> Result<(), CoreError> {
        check_evaluation(&self.network, point, samples, chunk)?;
        let features: usize = self.network.problem().input.iter().product();
        let (len, mut sums) = (samples.len(), vec![0.0f64; point.buffers.len()]);
        for index in 0..len.div_ceil(chunk) {
            let range = chunk_range(index, chunk, len);
            let rows = range.len();
            let mut batch =
                Batch { inputs: vec![0.0; rows * features], labels: vec![0; rows], dropout: None };
            samples.fill(range, &mut batch.inputs, &mut batch.labels);
            let Uploaded { theta, inputs } = self.upload(point, &batch)?;
            let at = self.at(point, &theta, BatchNormMode::Batch, &batch);
            let forward = self.backend.forward::<NoneTape>(at, inputs)?;
            self.visit_statistics(&forward.statistics, |_, place, measured, factor| {
                for (sum, &measured) in sums[place].iter_mut().zip(measured) {
                    *sum += rows as f64 * f64::from(factor * measured);
                }
            });
        }
        point.buffers.iter_mut().zip(sums).for_each(|(buffer, sum)| *buffer = (sum / len as f64) as f32);
        Ok(())
    }

    /// Calls `visit` with what a batch says about the running statistics: a layer's momentum, their place in the buffers, what
    /// was measured, and the factor that makes it unbiased.
    fn visit_statistics(
        &self,
        statistics: &[(usize, BatchStatistics)],
        mut visit: impl FnMut(f32, Range<usize>, &[f32], f32),
    ) {
        for (index, statistics) in statistics {
            let layer = &self.network.layers()[*index];
            let (Op::BatchNorm(norm), Some(place)) = (&layer.op, &layer.buffers) else { continue };
            let count = statistics.count as f32;
            let unbiased = if count > 1.0 { count / (count - 1.0) } else { 1.0 };
            visit(norm.momentum, place.mean.clone(), &statistics.mean, 1.0);
            visit(norm.momentum, place.var.clone(), &statistics.var, unbiased);
        }
    }
}

#[cfg(test)]
mod tests;
