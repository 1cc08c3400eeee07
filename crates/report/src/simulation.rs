//! Random numbers for tests that simulate data with known ground truth.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A generator.
pub(crate) struct Simulated(ChaCha8Rng);

impl Simulated {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// From 0 to below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0.r#gen()
    }

    /// Normal with variance 1.
    pub(crate) fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// `n` values of a stationary first-order autoregressive series with variance 1.
    pub(crate) fn autoregressive(&mut self, correlation: f64, n: usize) -> Vec<f64> {
        let step = (1.0 - correlation * correlation).sqrt();
        let mut last = self.normal();
        let next = |_| {
            let value = last;
            last = correlation * value + step * self.normal();
            value
        };
        (0..n).map(next).collect()
    }

    /// The number of `n` updates at which an event with probability `share` happens; neighbors are correlated.
    pub(crate) fn dependent_count(&mut self, share: f64, correlation: f64, n: usize) -> usize {
        let mut last = self.uniform() < share;
        let mut next = |_: &usize| {
            let chance = share + correlation * (f64::from(u8::from(last)) - share);
            std::mem::replace(&mut last, self.uniform() < chance)
        };
        (0..n).filter(|index| next(index)).count()
    }
}

/// Number of trials of a simulation: more with SLOW_TESTS=1.
pub(crate) fn trials(few: usize) -> usize {
    few_or_many(few, 20 * few)
}

/// `many` with SLOW_TESTS=1, `few` otherwise.
pub(crate) fn few_or_many(few: usize, many: usize) -> usize {
    if std::env::var_os("SLOW_TESTS").is_some() { many } else { few }
}

/// The share of trials in which an event happens.
pub(crate) fn share(trials: usize, mut happens: impl FnMut() -> bool) -> f64 {
    (0..trials).filter(|_| happens()).count() as f64 / trials as f64
}

/// Three standard errors of a share of 5% in this number of trials.
pub(crate) fn three_errors(trials: usize) -> f64 {
    3.0 * (0.05 * 0.95 / trials as f64).sqrt()
}
