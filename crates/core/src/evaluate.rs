//! Losses without gradients, which take nearly all of a run's time.

use std::ops::Range;

use serde::Deserialize;
use walk_arch::Network;

use crate::{CoreError, Point};

/// Which statistics batch norm uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchNormMode {
    /// Mean and variance of each batch or evaluation chunk, as in the paper.
    #[default]
    Batch,
    /// The running averages from training.
    Running,
}

/// A source of samples, which may be kept as bytes until they are requested.
pub trait Samples: Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes samples `range`, one row of `inputs` each, and their labels.
    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]);
}

impl<S: Samples + ?Sized> Samples for &S {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        (**self).fill(range, inputs, labels);
    }
}

/// The loss of a set of samples at one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The result of each chunk, in order.
    pub chunks: Vec<ChunkResult>,
    /// Number of samples in all chunks.
    pub samples: usize,
}

/// The losses of one chunk of samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChunkResult {
    /// The loss of each sample, in order.
    pub losses: Vec<f64>,
    /// Number of samples whose largest output is that of their label.
    pub correct: usize,
}

impl ChunkResult {
    /// Sum of the samples' losses, added in order.
    pub fn loss_sum(&self) -> f64 {
        self.losses.iter().sum()
    }

    /// Adds a sample.
    pub(crate) fn add<E: PartialOrd + Copy>(&mut self, outputs: &[E], label: usize, loss: f64) {
        self.losses.push(loss);
        self.correct += usize::from(is_correct(outputs, label));
    }
}

/// Whether the largest output is that of the label; of equal outputs, the first counts.
pub(crate) fn is_correct<E: PartialOrd + Copy>(outputs: &[E], label: usize) -> bool {
    let own = outputs[label];
    let beaten = outputs.iter().enumerate().any(|(class, &z)| z > own || (z >= own && class < label));
    // a NaN does not compare, not even to itself
    let number = own.partial_cmp(&own).is_some();
    !beaten && number
}

impl Evaluation {
    /// The mean loss: the chunks' sums, added in order, divided by the number of samples.
    pub fn mean_loss(&self) -> f64 {
        self.chunks.iter().map(ChunkResult::loss_sum).sum::<f64>() / self.samples as f64
    }

    /// The share of samples whose largest output is that of their label; of equal outputs, the first counts.
    pub fn accuracy(&self) -> f64 {
        self.chunks.iter().map(|chunk| chunk.correct).sum::<usize>() as f64 / self.samples as f64
    }
}

/// Evaluates the loss of a network at any point, in fixed chunks of samples.
///
/// A chunk's result depends only on the point and the chunk, never on the number of threads.
pub trait Evaluator {
    /// The loss of `samples` at `point`, in chunks of `chunk` samples (the last may be shorter).
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network, a label is out of range or the device fails.
    fn evaluate(
        &mut self,
        point: &Point,
        samples: &dyn Samples,
        chunk: usize,
        mode: BatchNormMode,
    ) -> Result<Evaluation, CoreError>;
}

/// The range of chunk number `index` of `len` samples.
pub(crate) fn chunk_range(index: usize, chunk: usize, len: usize) -> Range<usize> {
    index * chunk..len.min((index + 1) * chunk)
}

/// An error if a label is not a class.
pub(crate) fn check_labels(labels: &[usize], classes: usize, first: usize) -> Result<(), CoreError> {
    match labels.iter().position(|&label| label >= classes) {
        Some(index) => Err(CoreError::Label { sample: first + index, label: labels[index], classes }),
        None => Ok(()),
    }
}

/// An error if a point or samples do not fit the network.
pub(crate) fn check_evaluation(
    network: &Network,
    point: &Point,
    samples: &dyn Samples,
    chunk: usize,
) -> Result<(), CoreError> {
    CoreError::check_length("the parameter vector", point.params.len(), network.n_params())?;
    CoreError::check_length("the buffer vector", point.buffers.len(), network.n_buffers())?;
    if samples.is_empty() || chunk == 0 { Err(CoreError::EmptyBatch) } else { Ok(()) }
}
