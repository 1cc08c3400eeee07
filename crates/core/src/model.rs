//! A network on a backend.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use walk_arch::{Network, Op};

use crate::backend::{AtPoint, BatchGradient, BatchStatistics, PassKind};
use crate::composite::CompositeEvaluator;
use crate::evaluate::{check_evaluation, chunk_range};
use crate::init::initial_params;
use crate::tensors::samples_have_gradients;
use crate::{Backend, Batch, BatchNormMode, CoreError, Cpu, Evaluator, Loss, Point, Samples, Seed};

/// A network that runs on a backend.
#[derive(Clone, Debug)]
pub struct Model {
    backend: Rc<dyn Backend>,
    network: Arc<Network>,
    loss: Loss,
}

impl Model {
    /// A model of `network`, trained for `loss`.
    pub fn new(backend: Rc<dyn Backend>, network: Network, loss: Loss) -> Self {
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

    /// A slow evaluator entirely in f64, with dfdx's operations on the CPU: the reference for measuring the rounding of the
    /// other one.
    pub fn reference(&self) -> Box<dyn Evaluator> {
        Box::new(CompositeEvaluator::<f64, _>::new(Cpu::default(), self.network.clone(), self.loss))
    }

    /// θ_0 and fresh buffers.
    pub fn initial(&self, seed: Seed) -> Point {
        Point { params: initial_params(&self.network, seed), buffers: self.network.initial_buffers() }
    }

    /// The network at a point.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network or the device fails.
    pub fn at<'a>(&'a self, point: &'a Point) -> Result<Box<dyn AtPoint + 'a>, CoreError> {
        self.backend.at(&self.network, self.loss, point)
    }

    /// Approximate peak memory of `pass` in bytes for `samples` samples, without θ and vectors of its size; `None` if unknown.
    pub fn bytes(&self, pass: PassKind, samples: usize) -> Option<usize> {
        self.backend.bytes(&self.network, pass, samples)
    }

    /// Whether the loss of a sample depends only on that sample, which is not the case with batch norm on batch statistics.
    pub fn samples_have_gradients(&self, mode: BatchNormMode) -> bool {
        samples_have_gradients(&self.network, mode)
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
        let at = self.at(point)?;
        for index in 0..len.div_ceil(chunk) {
            let range = chunk_range(index, chunk, len);
            let rows = range.len();
            let mut batch =
                Batch { inputs: vec![0.0; rows * features], labels: vec![0; rows], dropout: None };
            samples.fill(range, &mut batch.inputs, &mut batch.labels);
            self.visit_statistics(&at.statistics(&batch)?, |_, place, measured, factor| {
                for (sum, &measured) in sums[place].iter_mut().zip(measured) {
                    *sum += rows as f64 * f64::from(factor * measured);
                }
            });
        }
        drop(at);
        point.buffers.iter_mut().zip(sums).for_each(|(buffer, sum)| *buffer = (sum / len as f64) as f32);
        Ok(())
    }

    /// Calls `visit` with a batch's data on the running statistics: a layer's momentum, their position in the buffers, the
    /// measured statistics, and the factor that makes the variance unbiased.
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
