//! The order in which an epoch visits the samples.

use rand::Rng;
use rand::seq::SliceRandom;
use walk_core::{Seed, Stream};

use crate::OptimConfig;

/// The samples of an epoch's updates, one batch after the other, as a function of only seed and epoch. Without replacement,
/// every sample occurs once (the last few may be left out, see [`OptimConfig::drop_last`]); with replacement, each batch is
/// drawn from all samples.
pub(crate) fn epoch_order(seed: Seed, epoch: u32, optim: &OptimConfig, n: usize) -> Vec<usize> {
    if optim.replacement {
        let batches = (1..=optim.updates_per_epoch(n) as u64).flat_map(|iteration| {
            let mut rng = seed.rng(Stream::Order, [epoch.into(), iteration]);
            (0..optim.batch_size).map(move |_| rng.gen_range(0..n)).collect::<Vec<_>>()
        });
        return batches.collect();
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut seed.rng(Stream::Order, [epoch.into()]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::config;

    fn order(seed: u64, epoch: u32) -> Vec<usize> {
        epoch_order(Seed(seed), epoch, &config(), 100)
    }

    #[test]
    fn every_sample_comes_once_and_epochs_differ() {
        let first = order(1, 1);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(first, order(1, 1));
        assert_ne!(first, order(1, 2));
        assert_ne!(first, order(2, 1));
    }

    #[test]
    fn with_replacement_batches_are_drawn_apart() {
        let optim = OptimConfig { replacement: true, batch_size: 30, ..config() };
        let drawn = epoch_order(Seed(1), 1, &optim, 100);
        assert_eq!(drawn.len(), 4 * 30);
        assert!(drawn.iter().all(|&index| index < 100));
        let distinct: std::collections::BTreeSet<usize> = drawn.iter().copied().collect();
        // 100 (1 - .99^120) = 70 +- 4
        assert!((55..85).contains(&distinct.len()), "{}", distinct.len());
        assert_ne!(drawn[..30], drawn[30..60]);
        assert_eq!(drawn, epoch_order(Seed(1), 1, &optim, 100));
    }
}
