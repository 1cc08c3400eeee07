//! Provides a part of a data set as the samples of an evaluation or a batch.

use std::ops::Range;

use rand::Rng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use walk_core::{Batch, Samples, Seed, Stream};
use walk_data::Subset;

/// A part of a data set without augmentation, in its fixed mixed order: the fixed evaluation.
pub(crate) struct Fixed<'a>(pub(crate) &'a Subset);

impl Samples for Fixed<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        let rows = inputs.chunks_exact_mut(self.0.sample_len());
        for ((&index, row), label) in self.0.mixed()[range].iter().zip(rows).zip(labels) {
            *label = self.0.sample(index, row);
        }
    }
}

/// This number of samples from the start of that order.
pub(crate) struct First<'a>(pub(crate) Fixed<'a>, pub(crate) usize);

impl Samples for First<'_> {
    fn len(&self) -> usize {
        self.1
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        self.0.fill(range, inputs, labels);
    }
}

/// A part of a data set in that order, cropped and flipped once per epoch.
pub(crate) struct Augmented<'a> {
    pub(crate) part: &'a Subset,
    pub(crate) seed: Seed,
    pub(crate) epoch: u32,
}

impl Samples for Augmented<'_> {
    fn len(&self) -> usize {
        self.part.len()
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        let rows = inputs.chunks_exact_mut(self.part.sample_len());
        for ((&index, row), label) in self.part.mixed()[range].iter().zip(rows).zip(labels) {
            let mut rng = self.seed.rng(Stream::CommonAugment, [self.epoch.into(), index as u64]);
            *label = self.part.augmented(index, &mut rng, row);
        }
    }
}

/// A part of a data set shuffled, cropped and flipped anew, as by the authors' loader for every loss.
pub(crate) struct Redrawn<'a, A> {
    part: &'a Subset,
    order: Vec<usize>,
    /// The generator of a sample's crop and flip.
    augment: A,
}

impl<'a, R: Rng, A: Fn(u64) -> R + Sync> Redrawn<'a, A> {
    /// Shuffled by `order`, with each sample cropped and flipped by the generator that `augment` gives for its index in the part.
    pub(crate) fn new(part: &'a Subset, mut order: impl Rng, augment: A) -> Self {
        let mut places: Vec<usize> = (0..part.len()).collect();
        places.shuffle(&mut order);
        Self { part, order: places, augment }
    }

    /// The index of the sample at each place.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }
}

impl<R: Rng, A: Fn(u64) -> R + Sync> Samples for Redrawn<'_, A> {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        let rows = inputs.chunks_exact_mut(self.part.sample_len());
        for ((&index, row), label) in self.order[range].iter().zip(rows).zip(labels) {
            *label = self.part.augmented(index, &mut (self.augment)(index as u64), row);
        }
    }
}

/// Writes the samples `indices` into `batch`, using all threads of the caller's pool: augmented as in the epoch of `augment`,
/// or unchanged.
pub(crate) fn fill_batch(
    part: &Subset,
    indices: impl IndexedParallelIterator<Item = usize>,
    augment: Option<(Seed, u32)>,
    batch: &mut Batch,
) {
    let len = part.sample_len();
    batch.inputs.resize(indices.len() * len, 0.0);
    batch.labels.resize(indices.len(), 0);
    let rows = batch.inputs.par_chunks_exact_mut(len).zip(&mut batch.labels);
    indices.zip(rows).with_min_len(16).for_each(|(index, (row, label))| {
        *label = match augment.filter(|_| part.is_augmented()) {
            Some((seed, epoch)) => {
                let mut rng = seed.rng(Stream::Augment, [epoch.into(), index as u64]);
                part.augmented(index, &mut rng, row)
            }
            None => part.sample(index, row),
        };
    });
}

#[cfg(test)]
mod tests {
    use walk_data::{Augment, DataConfig, DataSet};

    use super::*;

    #[test]
    fn augmented_samples_are_a_function_of_seed_epoch_and_sample() {
        let augment = Augment { crop_padding: 2, flip: true };
        let split = DataConfig { augment, ..DataConfig::new(DataSet::Digits) }.load().unwrap();
        let fill = |seed, epoch, indices: Vec<usize>| {
            let mut batch = Batch::default();
            fill_batch(&split.train, indices.into_par_iter(), Some((Seed(seed), epoch)), &mut batch);
            batch
        };
        let first = fill(1, 1, (0..40).collect());
        assert_eq!(first, fill(1, 1, (0..40).collect()));
        assert_eq!(first.inputs[64 * 7..64 * 8], fill(1, 1, vec![7]).inputs);
        assert_ne!(first.inputs, fill(1, 2, (0..40).collect()).inputs);
        assert_ne!(first.inputs, fill(2, 1, (0..40).collect()).inputs);
        assert_eq!(first.labels, fill(1, 2, (0..40).collect()).labels);
    }

    #[test]
    fn a_redrawn_evaluation_has_every_sample_once() {
        let split = DataConfig::new(DataSet::Digits).load().unwrap();
        let draw = |draw| {
            let order = Seed(1).rng(Stream::EvaluationOrder, [draw]);
            let augment = |sample| Seed(1).rng(Stream::EvaluationAugment, [draw, sample]);
            let samples = Redrawn::new(&split.train, order, augment);
            let (mut inputs, mut labels) = (vec![0.0; 1400 * 64], vec![0; 1400]);
            samples.fill(0..1400, &mut inputs, &mut labels);
            (inputs, labels)
        };
        let (one, other) = (draw(1), draw(2));
        assert_ne!(one.1, other.1);
        assert_eq!(one, draw(1));
        let sorted = |mut labels: Vec<usize>| {
            labels.sort_unstable();
            labels
        };
        assert_eq!(sorted(one.1), sorted(other.1));
    }
}
