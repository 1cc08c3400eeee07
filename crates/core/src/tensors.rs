//! Networks on dfdx's tensors, with a tape where gradients are needed.

use std::fmt::Debug;
use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::Network;
use walk_kernels::awake::awake;
use walk_kernels::elementwise::dot;
use walk_kernels::memory::copied;

use crate::backend::{AtPoint, Backend, BatchGradient, BatchStatistics, PassKind};
use crate::batch::{Batch, DropoutDraw};
use crate::evaluate::{check_labels, is_correct};
use crate::{BatchNormMode, CoreError, Evaluator, Loss, Point};

/// A batch of values on a device: one row per sample, `[rows, features]`.
pub(crate) type Rows<D, T = NoneTape, E = f32> = Tensor<(usize, usize), E, D, T>;
/// A flat vector on a device: θ, or one value per sample.
pub(crate) type Flat<D, T = NoneTape, E = f32> = Tensor<(usize,), E, D, T>;

/// The result of a forward pass.
pub(crate) struct Forward<D: Device<E>, T, E: Dtype = f32> {
    /// The network's outputs, `[rows, classes]`.
    pub(crate) outputs: Rows<D, T, E>,
    /// By layer index, for batch-norm layers that used the batch's statistics.
    pub(crate) statistics: Vec<(usize, BatchStatistics)>,
}

/// A forward pass, and the tangent of its outputs if a direction was given.
pub(crate) struct DirectionalForward<D: Device<E>, T, E: Dtype = f32> {
    pub(crate) forward: Forward<D, T, E>,
    pub(crate) tangent: Option<Rows<D, NoneTape, E>>,
}

/// A network's outputs and their derivatives along a direction, `[rows, classes]` each.
pub(crate) struct OutputsAndTangent<D: Device<E>, T, E: Dtype = f32> {
    pub(crate) outputs: Rows<D, T, E>,
    pub(crate) tangent: Rows<D, NoneTape, E>,
}

impl<D: Device<E>, T, E: Dtype> DirectionalForward<D, T, E> {
    /// Outputs and tangent of a pass along a direction.
    pub(crate) fn along_direction(self) -> OutputsAndTangent<D, T, E> {
        let tangent = self.tangent.expect("some layer has parameters, so the outputs have a tangent");
        OutputsAndTangent { outputs: self.forward.outputs, tangent }
    }
}

/// A network at a point, as a forward pass needs it.
pub(crate) struct At<'a, D: Device<E>, E: Dtype = f32> {
    /// The network.
    pub(crate) network: &'a Arc<Network>,
    /// θ
    pub(crate) theta: &'a Flat<D, NoneTape, E>,
    /// Running statistics.
    pub(crate) buffers: &'a [f32],
    /// Which statistics batch norm uses.
    pub(crate) mode: BatchNormMode,
    /// The random numbers of dropout; without them, dropout does nothing.
    pub(crate) dropout: Option<DropoutDraw>,
}

// implemented by hand, since the derived implementations would require D to be Copy
impl<D: Device<E>, E: Dtype> Clone for At<'_, D, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Device<E>, E: Dtype> Copy for At<'_, D, E> {}

/// A dfdx device with an implementation of every layer on it.
///
/// `T` is dfdx's tape; with one, gradients can be computed afterwards.
pub(crate) trait TensorBackend: Debug {
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

    /// The outputs for a batch of inputs, and their derivatives J v along `direction`, a direction v of θ.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn directional_forward<T: Tape<f32, Self::Device>>(
        &self,
        at: At<'_, Self::Device>,
        inputs: Rows<Self::Device>,
        direction: &Flat<Self::Device>,
    ) -> Result<OutputsAndTangent<Self::Device, T>, CoreError>;

    /// ∇ℓ_i·v, the derivative of every sample's loss along the direction v of [`TensorBackend::directional_forward`], `[rows]`.
    /// With a tape its reverse pass gives Hv.
    ///
    /// # Errors
    /// [`CoreError::Device`] if the device fails.
    fn directional_losses<T: Tape<f32, Self::Device>>(
        &self,
        outputs: OutputsAndTangent<Self::Device, T>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Flat<Self::Device, T>, CoreError>;

    /// ‖∇ℓ_i‖² of every sample. Batch norm must not use the batch's statistics, with which samples have no individual
    /// gradients.
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

    /// Extracts ∂/∂θ from the gradients of a backward pass.
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

    /// Approximate peak memory of a pass in bytes, if known.
    fn bytes(&self, _network: &Network, _pass: PassKind, _samples: usize) -> Option<usize> {
        None
    }
}

impl<B: TensorBackend> Backend for B {
    fn name(&self) -> &'static str {
        B::NAME
    }

    fn at<'a>(
        &'a self,
        network: &'a Arc<Network>,
        loss: Loss,
        point: &'a Point,
    ) -> Result<Box<dyn AtPoint + 'a>, CoreError> {
        Ok(Box::new(TensorPoint::new(self, network, loss, point)?))
    }

    fn evaluator(&self, network: &Arc<Network>, loss: Loss) -> Box<dyn Evaluator> {
        TensorBackend::evaluator(self, network, loss)
    }

    fn bytes(&self, network: &Network, pass: PassKind, samples: usize) -> Option<usize> {
        TensorBackend::bytes(self, network, pass, samples)
    }
}

/// A network at a point, with θ on a dfdx device.
pub(crate) struct TensorPoint<'a, B: TensorBackend> {
    backend: &'a B,
    network: &'a Arc<Network>,
    loss: Loss,
    theta: Flat<B::Device>,
    buffers: &'a [f32],
}

impl<'a, B: TensorBackend> TensorPoint<'a, B> {
    /// Copies a point to the device.
    pub(crate) fn new(
        backend: &'a B,
        network: &'a Arc<Network>,
        loss: Loss,
        point: &'a Point,
    ) -> Result<Self, CoreError> {
        CoreError::check_length("the parameter vector", point.params.len(), network.n_params())?;
        CoreError::check_length("the buffer vector", point.buffers.len(), network.n_buffers())?;
        let theta = backend.device().try_tensor_from_vec(copied(&point.params), (point.params.len(),));
        let theta = theta.map_err(CoreError::device)?;
        Ok(Self { backend, network, loss, theta, buffers: &point.buffers })
    }

    /// A batch's inputs on the device, after every length and label is checked.
    fn inputs(&self, batch: &Batch) -> Result<Rows<B::Device>, CoreError> {
        let problem = self.network.problem();
        let features: usize = problem.input.iter().product();
        let rows = batch.labels.len();
        if rows == 0 {
            return Err(CoreError::EmptyBatch);
        }
        CoreError::check_length("the batch's input", batch.inputs.len(), rows * features)?;
        check_labels(&batch.labels, problem.classes, 0)?;
        let inputs = self.backend.device().try_tensor_from_vec(copied(&batch.inputs), (rows, features));
        inputs.map_err(CoreError::device)
    }

    fn at(&self, batch: &Batch, mode: BatchNormMode) -> At<'_, B::Device> {
        At { network: self.network, theta: &self.theta, buffers: self.buffers, mode, dropout: batch.dropout }
    }

    /// The outputs for a batch, and their derivatives along `direction`.
    fn along<T: Tape<f32, B::Device>>(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<OutputsAndTangent<B::Device, T>, CoreError> {
        CoreError::check_length("the direction", direction.len(), self.network.n_params())?;
        let inputs = self.inputs(batch)?;
        let direction = self.backend.device().try_tensor_from_vec(copied(direction), (direction.len(),));
        let direction = direction.map_err(CoreError::device)?;
        self.backend.directional_forward(self.at(batch, mode), inputs, &direction)
    }

    /// ∇ℓ_i·v of every sample.
    fn slopes<T: Tape<f32, B::Device>>(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Flat<B::Device, T>, CoreError> {
        let along = self.along(batch, direction, mode)?;
        self.backend.directional_losses(along, &batch.labels, self.loss)
    }

    /// Σ_i J_iᵀ w_i for the Jacobians J_i of a batch's outputs z_i, of length P. `add` adds w_i, given z_i, its derivative J_i v along
    /// `direction`, and the label.
    fn pulled_back(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
        add: impl Fn(&[f32], &[f32], usize, &mut [f32]),
    ) -> Result<Vec<f32>, CoreError> {
        awake(|| {
            let OutputsAndTangent { outputs, tangent } = self.along::<NoneTape>(batch, direction, mode)?;
            let classes = self.network.problem().classes;
            let (outputs, tangent) = (outputs.as_vec(), tangent.as_vec());
            let mut weights = vec![0.0; outputs.len()];
            let samples = outputs.chunks_exact(classes).zip(tangent.chunks_exact(classes)).zip(&batch.labels);
            for (((z, dot), &label), weights) in samples.zip(weights.chunks_exact_mut(classes)) {
                add(z, dot, label, weights);
            }
            let (at, inputs) = (self.at(batch, mode), self.inputs(batch)?);
            let outputs = self.backend.forward::<OwnedTape<f32, B::Device>>(at, inputs)?.outputs;
            let weights = self.backend.device().try_tensor_from_vec(weights, *outputs.shape());
            let weights = weights.map_err(CoreError::device)?;
            let backward = || outputs.try_mul(weights)?.try_sum::<Rank0, Axes2<0, 1>>()?.try_backward();
            self.backend.take_gradient(backward().map_err(CoreError::device)?, &self.theta)
        })
    }

    /// The gradient by θ of the mean of `losses`.
    fn reverse(&self, losses: Flat<B::Device, OwnedTape<f32, B::Device>>) -> Result<Vec<f32>, CoreError> {
        let backward = || losses.try_mean::<Rank0, Axis<0>>()?.try_backward();
        self.backend.take_gradient(backward().map_err(CoreError::device)?, &self.theta)
    }

    /// An error unless the loss of a sample depends on that sample alone.
    fn check_samples(&self, mode: BatchNormMode) -> Result<(), CoreError> {
        if samples_have_gradients(self.network, mode) { Ok(()) } else { Err(CoreError::BatchStatistics) }
    }
}

/// Whether the loss of a sample depends on that sample alone: with batch norm on batch statistics it does not.
pub(crate) fn samples_have_gradients(network: &Network, mode: BatchNormMode) -> bool {
    mode == BatchNormMode::Running || !network.has_batch_norm()
}

impl<B: TensorBackend> AtPoint for TensorPoint<'_, B> {
    fn gradient(&self, batch: &Batch, mode: BatchNormMode) -> Result<BatchGradient, CoreError> {
        awake(|| {
            let inputs = self.inputs(batch)?;
            let forward = self.backend.forward::<OwnedTape<f32, B::Device>>(self.at(batch, mode), inputs)?;
            let outputs = forward.outputs.as_vec();
            let rows = outputs.chunks_exact(self.network.problem().classes).zip(&batch.labels);
            let correct = rows.filter(|&(row, &label)| is_correct(row, label)).count();
            let losses = self.backend.losses(forward.outputs, &batch.labels, self.loss)?;
            let mut values = vec![0.0; batch.labels.len()];
            losses.copy_into(&mut values);
            let grad = self.reverse(losses)?;
            Ok(BatchGradient { losses: values, correct, grad, statistics: forward.statistics })
        })
    }

    fn hessian_vector(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f32>, CoreError> {
        awake(|| self.reverse(self.slopes(batch, direction, mode)?))
    }

    fn gauss_newton_vector(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f32>, CoreError> {
        let rows = batch.labels.len();
        self.pulled_back(batch, direction, mode, |z, dot, _, weights| {
            self.loss.hessian_product(z, dot, 1.0 / rows as f32, weights);
        })
    }

    fn empirical_fisher_vector(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f32>, CoreError> {
        self.check_samples(mode)?;
        let rows = batch.labels.len();
        self.pulled_back(batch, direction, mode, |z, dot, label, weights| {
            let slope = self.loss.tangent(z, label, dot);
            self.loss.backward(z, label, (slope / rows as f64) as f32, weights);
        })
    }

    fn sample_norms_sq(&self, batch: &Batch, mode: BatchNormMode) -> Result<Vec<f64>, CoreError> {
        self.check_samples(mode)?;
        let inputs = self.inputs(batch)?;
        self.backend.sample_norms_sq(self.at(batch, mode), inputs, &batch.labels, self.loss)
    }

    fn sample_slopes(
        &self,
        batch: &Batch,
        direction: &[f32],
        mode: BatchNormMode,
    ) -> Result<Vec<f64>, CoreError> {
        self.check_samples(mode)?;
        let slopes = self.slopes::<NoneTape>(batch, direction, mode)?;
        let mut values = vec![0.0; batch.labels.len()];
        slopes.copy_into(&mut values);
        Ok(values.into_iter().map(f64::from).collect())
    }

    fn statistics(&self, batch: &Batch) -> Result<Vec<(usize, BatchStatistics)>, CoreError> {
        let inputs = self.inputs(batch)?;
        let at = self.at(batch, BatchNormMode::Batch);
        Ok(self.backend.forward::<NoneTape>(at, inputs)?.statistics)
    }
}
