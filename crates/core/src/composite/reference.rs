//! Gradients, Hessian products and per-sample gradient norms in f64: the reference for devices.

use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::Network;

use super::{layers, pass, tangents};
use crate::tensors::{At, Flat, OutputsAndTangent, Rows};
use crate::{Batch, BatchNormMode, CoreError, Loss, Point};

/// A network at a point, in dfdx's operations on the CPU in f64; the parameters and samples themselves are f32 numbers.
#[derive(Debug)]
pub struct Reference<'a> {
    network: &'a Arc<Network>,
    loss: Loss,
    theta: Flat<Cpu, NoneTape, f64>,
    buffers: &'a [f32],
    mode: BatchNormMode,
}

impl<'a> Reference<'a> {
    /// At a point that fits the network.
    ///
    /// # Errors
    /// [`CoreError::Device`] if dfdx fails.
    pub fn new(
        network: &'a Arc<Network>,
        loss: Loss,
        point: &'a Point,
        mode: BatchNormMode,
    ) -> Result<Self, CoreError> {
        let theta = vector(&point.params)?;
        Ok(Self { network, loss, theta, buffers: &point.buffers, mode })
    }

    /// The gradient of the mean loss.
    ///
    /// # Errors
    /// [`CoreError::Device`] if dfdx fails.
    pub fn gradient(&self, batch: &Batch) -> Result<Vec<f64>, CoreError> {
        let device = Cpu::default();
        let inputs = self.inputs(batch)?;
        let outputs = pass::forward::<f64, _, OwnedTape<f64, Cpu>>(&device, self.at(batch), inputs, None)?;
        let outputs = outputs.forward.outputs;
        let losses = layers::losses(&device, outputs, &batch.labels, self.loss);
        self.reverse(losses.map_err(CoreError::device)?)
    }

    /// H v for the Hessian H of the mean loss.
    ///
    /// # Errors
    /// [`CoreError::Device`] if dfdx fails.
    pub fn hessian_vector(&self, batch: &Batch, v: &[f32]) -> Result<Vec<f64>, CoreError> {
        let device = Cpu::default();
        let v = vector(v)?;
        let (at, inputs) = (self.at(batch), self.inputs(batch)?);
        let passed = pass::forward::<f64, _, OwnedTape<f64, Cpu>>(&device, at, inputs, Some(&v))?;
        let OutputsAndTangent { outputs, tangent } = passed.along_direction();
        let slopes = tangents::losses(&device, outputs, tangent, &batch.labels, self.loss);
        self.reverse(slopes.map_err(CoreError::device)?)
    }

    /// G v for the Gauss-Newton matrix G = 1/B Σ J_iᵀ ∇²ℓ(z_i) J_i of the mean loss.
    ///
    /// # Errors
    /// [`CoreError::Device`] if dfdx fails.
    pub fn gauss_newton_vector(&self, batch: &Batch, v: &[f32]) -> Result<Vec<f64>, CoreError> {
        let device = Cpu::default();
        let v = vector(v)?;
        let along =
            pass::forward::<f64, _, NoneTape>(&device, self.at(batch), self.inputs(batch)?, Some(&v))?;
        let OutputsAndTangent { outputs, tangent } = along.along_direction();
        // the Hessian of the losses by the outputs, with the outputs in place of θ
        let slopes = tangents::losses(&device, outputs.leaky_trace(), tangent, &batch.labels, self.loss);
        let backward = || slopes?.try_mean::<Rank0, Axis<0>>()?.try_backward();
        let weights = backward().map_err(CoreError::device)?.get(&outputs);
        let passed =
            pass::forward::<f64, _, OwnedTape<f64, Cpu>>(&device, self.at(batch), self.inputs(batch)?, None)?;
        let products = || passed.forward.outputs.try_mul(weights)?.try_sum::<Rank0, Axes2<0, 1>>();
        let gradients = products().and_then(|sum| sum.try_backward()).map_err(CoreError::device)?;
        Ok(gradients.get(&self.theta).as_vec())
    }

    /// ‖∇ℓ_i‖² of every sample, one at a time.
    ///
    /// # Errors
    /// [`CoreError::Device`] if dfdx fails.
    pub fn sample_norms_sq(&self, batch: &Batch) -> Result<Vec<f64>, CoreError> {
        let features = batch.inputs.len() / batch.labels.len();
        let samples = batch.inputs.chunks_exact(features).zip(&batch.labels);
        let norm = |(inputs, label): (&[f32], &usize)| {
            let one = Batch { inputs: inputs.to_vec(), labels: vec![*label], dropout: batch.dropout };
            Ok(self.gradient(&one)?.iter().map(|g| g * g).sum())
        };
        samples.map(norm).collect()
    }

    fn inputs(&self, batch: &Batch) -> Result<Rows<Cpu, NoneTape, f64>, CoreError> {
        let rows = batch.labels.len();
        let inputs: Vec<f64> = batch.inputs.iter().map(|&x| x.into()).collect();
        let features = inputs.len() / rows;
        Cpu::default().try_tensor_from_vec(inputs, (rows, features)).map_err(CoreError::device)
    }

    fn at(&self, batch: &Batch) -> At<'_, Cpu, f64> {
        let Self { network, theta, buffers, mode, .. } = self;
        At { network, theta, buffers, mode: *mode, dropout: batch.dropout }
    }

    /// The gradient by θ of the mean.
    fn reverse(&self, values: Flat<Cpu, OwnedTape<f64, Cpu>, f64>) -> Result<Vec<f64>, CoreError> {
        let backward = || values.try_mean::<Rank0, Axis<0>>()?.try_backward();
        let gradients = backward().map_err(CoreError::device)?;
        Ok(gradients.get(&self.theta).as_vec())
    }
}

fn vector(values: &[f32]) -> Result<Flat<Cpu, NoneTape, f64>, CoreError> {
    let values: Vec<f64> = values.iter().map(|&x| x.into()).collect();
    let len = values.len();
    Cpu::default().try_tensor_from_vec(values, (len,)).map_err(CoreError::device)
}
