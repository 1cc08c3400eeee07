//! The order in which an epoch visits the samples.

use rand::seq::SliceRandom;
use walk_core::{Seed, Stream};

/// The samples 0..n in the order of `epoch`: a function of seed and epoch alone.
pub(crate) fn epoch_order(seed: Seed, epoch: u32, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut seed.rng(Stream::Order, epoch.into(), 0));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_comes_once_and_epochs_differ() {
        let first = epoch_order(Seed(1), 1, 100);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(first, epoch_order(Seed(1), 1, 100));
        assert_ne!(first, epoch_order(Seed(1), 2, 100));
        assert_ne!(first, epoch_order(Seed(2), 1, 100));
    }
}
