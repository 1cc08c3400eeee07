//! A part of a data set as the samples of an evaluation or a batch.

use std::ops::Range;

use walk_core::{Batch, Samples};
use walk_data::Subset;

/// A part of a data set, seen by the evaluators of walk-core.
pub(crate) struct Part<'a>(pub(crate) &'a Subset);

impl Samples for Part<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        let rows = inputs.chunks_exact_mut(self.0.sample_len());
        for ((index, row), label) in range.zip(rows).zip(labels) {
            *label = self.0.sample(index, row);
        }
    }
}

/// Writes the samples `indices` into `batch`.
pub(crate) fn fill_batch(part: &Subset, indices: impl ExactSizeIterator<Item = usize>, batch: &mut Batch) {
    let len = part.sample_len();
    batch.inputs.resize(indices.len() * len, 0.0);
    batch.labels.resize(indices.len(), 0);
    let rows = batch.inputs.chunks_exact_mut(len).zip(&mut batch.labels);
    for (index, (row, label)) in indices.zip(rows) {
        *label = part.sample(index, row);
    }
}
