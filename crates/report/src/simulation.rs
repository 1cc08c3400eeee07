//! Random numbers for tests that simulate data of which the truth is known.

/// A generator (SplitMix64).
pub(crate) struct Simulated(pub(crate) u64);

impl Simulated {
    /// From 0 to below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal with variance 1 (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
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

    /// How many of `n` updates something happens at that has a share of `share`, neighbors being correlated.
    pub(crate) fn dependent_count(&mut self, share: f64, correlation: f64, n: usize) -> usize {
        let mut last = self.uniform() < share;
        let mut next = |_: &usize| {
            let chance = share + correlation * (f64::from(u8::from(last)) - share);
            std::mem::replace(&mut last, self.uniform() < chance)
        };
        (0..n).filter(|index| next(index)).count()
    }
}

/// Trials of a simulation: more with SLOW_TESTS=1.
pub(crate) fn trials(few: usize) -> usize {
    if std::env::var_os("SLOW_TESTS").is_some() { 20 * few } else { few }
}

/// The share of trials in which something happens.
pub(crate) fn share(trials: usize, mut happens: impl FnMut() -> bool) -> f64 {
    (0..trials).filter(|_| happens()).count() as f64 / trials as f64
}

/// Three standard errors of a share of 5% among so many trials.
pub(crate) fn three_errors(trials: usize) -> f64 {
    3.0 * (0.05 * 0.95 / trials as f64).sqrt()
}
