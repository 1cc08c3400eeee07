//! Losses given by a function of sample numbers, instead of a network.

use std::ops::Range;

use crate::evaluate::{ChunkResult, Evaluation};
use crate::{BatchNormMode, CoreError, Evaluator, Point, Samples};

/// As many samples as the field says, whose inputs are their numbers.
pub(super) struct Numbers(pub(super) usize);

impl Samples for Numbers {
    fn len(&self) -> usize {
        self.0
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        inputs.iter_mut().zip(range).for_each(|(input, index)| *input = index as f32);
        labels.fill(0);
    }
}

/// Gives what the function says of a point and a sample's number.
pub(super) struct Given<F>(pub(super) F);

impl<F: Fn(&Point, usize) -> f64> Evaluator for Given<F> {
    fn evaluate(
        &mut self,
        point: &Point,
        samples: &dyn Samples,
        chunk: usize,
        _: BatchNormMode,
    ) -> Result<Evaluation, CoreError> {
        let chunks = (0..samples.len() / chunk).map(|index| {
            let (mut inputs, mut labels) = (vec![0.0; chunk], vec![0; chunk]);
            samples.fill(index * chunk..(index + 1) * chunk, &mut inputs, &mut labels);
            let losses = inputs.iter().map(|&number| (self.0)(point, number as usize)).collect();
            ChunkResult { losses, correct: 0 }
        });
        Ok(Evaluation { chunks: chunks.collect(), samples: samples.len() })
    }
}
