//! Batches of samples.

use std::ops::Range;

use rand::Rng;

use crate::{Samples, Seed, Stream};

/// A batch of samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// One row per sample, `[rows, input length]`.
    pub inputs: Vec<f32>,
    /// The class of each sample.
    pub labels: Vec<usize>,
    /// The random numbers of dropout; `None` in evaluations, where dropout does nothing.
    pub dropout: Option<DropoutDraw>,
}

/// A batch without dropout.
impl Samples for Batch {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        let features = self.inputs.len() / self.labels.len();
        inputs.copy_from_slice(&self.inputs[range.start * features..range.end * features]);
        labels.copy_from_slice(&self.labels[range]);
    }
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
    /// For each of `len` elements of the value of layer `layer`: 0 with probability `p`, 1 / (1 - p) otherwise.
    pub(crate) fn mask(self, p: f32, layer: usize, len: usize) -> Vec<f32> {
        let mut rng = self.seed.rng(Stream::Dropout, [self.step, u64::from(self.part) << 32 | layer as u64]);
        let kept = 1.0 / (1.0 - p);
        (0..len).map(|_| if rng.r#gen::<f32>() < p { 0.0 } else { kept }).collect()
    }
}
