//! Losses in dfdx's operations, chunk by chunk: in f32, or in f64 as the reference for measuring rounding.

use std::marker::PhantomData;
use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::Network;

use super::number::Number;
use super::{layers, pass};
use crate::evaluate::{check_evaluation, check_labels, chunk_range};
use crate::tensors::{At, Flat, Rows};
use crate::{BatchNormMode, ChunkResult, CoreError, Evaluation, Evaluator, Loss, Point, Samples};

/// Evaluates in `E` throughout; the parameters and samples themselves are f32 numbers.
pub(crate) struct CompositeEvaluator<E, D> {
    device: D,
    network: Arc<Network>,
    loss: Loss,
    number: PhantomData<E>,
}

impl<E: Number, D: Device<E>> CompositeEvaluator<E, D> {
    pub(crate) fn new(device: D, network: Arc<Network>, loss: Loss) -> Self {
        Self { device, network, loss, number: PhantomData }
    }
}

impl<E: Number, D: Device<E>> Evaluator for CompositeEvaluator<E, D> {
    fn evaluate(
        &mut self,
        point: &Point,
        samples: &dyn Samples,
        chunk: usize,
        mode: BatchNormMode,
    ) -> Result<Evaluation, CoreError> {
        check_evaluation(&self.network, point, samples, chunk)?;
        let device = &self.device;
        let numbers = |values: &[f32]| values.iter().map(|&x| E::of(x.into())).collect::<Vec<E>>();
        let problem = self.network.problem();
        let features: usize = problem.input.iter().product();
        let theta = device.try_tensor_from_vec(numbers(&point.params), (point.params.len(),));
        let theta: Flat<D, NoneTape, E> = theta.map_err(CoreError::device)?;
        let mut chunks = vec![];
        for index in 0..samples.len().div_ceil(chunk) {
            let range = chunk_range(index, chunk, samples.len());
            let rows = range.len();
            let (mut inputs, mut labels) = (vec![0.0; rows * features], vec![0; rows]);
            samples.fill(range.clone(), &mut inputs, &mut labels);
            check_labels(&labels, problem.classes, range.start)?;
            let inputs = device.try_tensor_from_vec(numbers(&inputs), (rows, features));
            let inputs: Rows<D, NoneTape, E> = inputs.map_err(CoreError::device)?;
            let at =
                At { network: &self.network, theta: &theta, buffers: &point.buffers, mode, dropout: None };
            let outputs = pass::forward::<E, D, NoneTape>(device, at, inputs, None)?.forward.outputs;
            let scores = outputs.as_vec();
            let losses = layers::losses(device, outputs, &labels, self.loss).map_err(CoreError::device)?;
            let mut result = ChunkResult::default();
            let rows = scores.chunks_exact(problem.classes).zip(&labels).zip(losses.as_vec());
            rows.for_each(|((outputs, &label), loss)| result.add(outputs, label, loss.precise()));
            chunks.push(result);
        }
        Ok(Evaluation { chunks, samples: samples.len() })
    }
}
