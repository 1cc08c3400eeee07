//! Shares work between several processes, with the same bits for any number of them.
//!
//! Every rank performs the same training; the most expensive work is split: the chunks of an evaluation, and the blocks of a
//! gradient or a Hessian-vector product over many samples. Each rank computes its own part, and all ranks combine all parts in
//! one fixed order.

use std::ops::Range;
use std::sync::Arc;

use walk_core::{BatchNormMode, ChunkResult, CoreError, Evaluation, Evaluator, Point, Samples};

/// The processes of a job. All of them must make the same calls in the same order.
pub trait Ranks: Send + Sync {
    /// The index of this process, from 0.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// Gathers the values of every rank, ordered by rank; their lengths may differ.
    fn gather(&self, own: &[f64]) -> Vec<f64>;

    /// Replaces `values` with those of `root`, of the same length.
    fn broadcast(&self, root: usize, values: &mut [f64]);

    /// The bytes of rank 0; those of the others are not used.
    fn broadcast_bytes(&self, bytes: Vec<u8>) -> Vec<u8>;
}

/// A single process.
#[derive(Clone, Copy, Debug)]
pub struct Solo;

impl Ranks for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn gather(&self, own: &[f64]) -> Vec<f64> {
        own.to_vec()
    }

    fn broadcast(&self, _root: usize, _values: &mut [f64]) {}

    fn broadcast_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }
}

/// The part of `n` pieces that belongs to rank `rank` of `size`: the numbers of pieces differ by at most one.
pub(crate) fn share(n: usize, rank: usize, size: usize) -> Range<usize> {
    n * rank / size..n * (rank + 1) / size
}

/// Evaluates this rank's chunks and receives the others' results.
pub(crate) struct ShardedEvaluator {
    inner: Box<dyn Evaluator>,
    ranks: Arc<dyn Ranks>,
}

impl ShardedEvaluator {
    /// `inner`, or its work shared if there are several ranks.
    pub(crate) fn over(inner: Box<dyn Evaluator>, ranks: &Arc<dyn Ranks>) -> Box<dyn Evaluator> {
        if ranks.size() == 1 { inner } else { Box::new(Self { inner, ranks: ranks.clone() }) }
    }
}

/// A range of consecutive samples.
struct Part<'a> {
    samples: &'a dyn Samples,
    range: Range<usize>,
}

impl Samples for Part<'_> {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        let first = self.range.start;
        self.samples.fill(first + range.start..first + range.end, inputs, labels);
    }
}

impl Evaluator for ShardedEvaluator {
    fn evaluate(
        &mut self,
        point: &Point,
        samples: &dyn Samples,
        chunk: usize,
        mode: BatchNormMode,
    ) -> Result<Evaluation, CoreError> {
        if chunk == 0 || samples.is_empty() {
            return Err(CoreError::EmptyBatch);
        }
        let (len, ranks) = (samples.len(), &self.ranks);
        let chunks = share(len.div_ceil(chunk), ranks.rank(), ranks.size());
        let range = chunks.start * chunk..len.min(chunks.end * chunk);
        let own = if range.is_empty() {
            vec![]
        } else {
            self.inner.evaluate(point, &Part { samples, range }, chunk, mode)?.chunks
        };
        // for each chunk, the number of samples classified correctly, then their losses
        let numbers = own
            .iter()
            .flat_map(|chunk| std::iter::once(chunk.correct as f64).chain(chunk.losses.iter().copied()));
        let all = ranks.gather(&numbers.collect::<Vec<f64>>());
        let chunks = all
            .chunks(chunk + 1)
            .map(|numbers| ChunkResult { losses: numbers[1..].to_vec(), correct: numbers[0] as usize });
        Ok(Evaluation { chunks: chunks.collect(), samples: len })
    }
}

/// Ranks as threads of one process, for tests.
#[cfg(test)]
pub(crate) mod threads {
    use std::sync::{Barrier, Mutex};

    use super::*;

    struct Shared {
        barrier: Barrier,
        slots: Mutex<Vec<Vec<f64>>>,
    }

    struct Thread {
        rank: usize,
        shared: Arc<Shared>,
    }

    impl Thread {
        fn exchange(&self, own: Vec<f64>) -> Vec<Vec<f64>> {
            self.shared.slots.lock().unwrap()[self.rank] = own;
            self.shared.barrier.wait();
            let all = self.shared.slots.lock().unwrap().clone();
            self.shared.barrier.wait();
            all
        }
    }

    impl Ranks for Thread {
        fn rank(&self) -> usize {
            self.rank
        }
        fn size(&self) -> usize {
            self.shared.slots.lock().unwrap().len()
        }
        fn gather(&self, own: &[f64]) -> Vec<f64> {
            self.exchange(own.to_vec()).concat()
        }
        fn broadcast(&self, root: usize, values: &mut [f64]) {
            let all = self.exchange(values.to_vec());
            values.copy_from_slice(&all[root]);
        }
        fn broadcast_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
            let all = self.exchange(bytes.into_iter().map(f64::from).collect());
            all[0].iter().map(|&byte| byte as u8).collect()
        }
    }

    /// The result of `work` on each of `size` ranks.
    pub(crate) fn on<T: Send>(size: usize, work: impl Fn(Arc<dyn Ranks>) -> T + Sync) -> Vec<T> {
        let slots = Mutex::new(vec![vec![]; size]);
        let shared = Arc::new(Shared { barrier: Barrier::new(size), slots });
        std::thread::scope(|scope| {
            let ranks = (0..size).map(|rank| {
                let (shared, work) = (shared.clone(), &work);
                scope.spawn(move || work(Arc::new(Thread { rank, shared })))
            });
            ranks.collect::<Vec<_>>().into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_once() {
        for (n, size) in [(10, 3), (2, 4), (0, 2), (16, 16)] {
            let all: Vec<usize> = (0..size).flat_map(|rank| share(n, rank, size)).collect();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
        }
    }
}
