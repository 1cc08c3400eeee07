//! The contribution of the rarest samples to a mean.

/// Shares of the samples for which contributions are kept: 1, 1/2, 1/4, ..., 2^-15.
const LEVELS: usize = 16;

/// For the shares q = 1, 1/2, 1/4, ... of the samples, what the qN largest positive values contribute to the mean of all N:
/// Σ_{i<=qN} max(x_(i), 0) / N.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tail([f64; LEVELS]);

impl Tail {
    /// Numbers of [`Tail::numbers`].
    pub(super) const LEN: usize = LEVELS;

    /// As `values`, some of the population's, suggest: a share that is less than one of them is taken to be as large as the
    /// largest.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.map(|value| value.max(0.0)).collect();
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let n = sorted.len() as f64;
        let mut sums = vec![0.0];
        sums.extend(sorted.iter().scan(0.0, |sum, value| {
            *sum += value;
            Some(*sum)
        }));
        let contribution = |share: f64| match share * n {
            // NaN for no values
            count if count < 1.0 => share * sorted.first().copied().unwrap_or(f64::NAN),
            count => sums[count.ceil() as usize] / n,
        };
        Self(std::array::from_fn(|level| contribution(share(level))))
    }

    /// The maximum contribution of the share `rare` of the samples.
    pub(super) fn at(&self, rare: f64) -> f64 {
        let rarest = LEVELS - 1;
        if rare < share(rarest) {
            return self.0[rarest] * rare / share(rarest);
        }
        let level = (0..LEVELS).rev().find(|&level| share(level) >= rare).unwrap_or(0);
        self.0[level]
    }

    /// `factor` times it.
    pub(super) fn times(self, factor: f64) -> Self {
        Self(self.0.map(|contribution| contribution * factor))
    }

    /// The larger of the two at each share; non-finite ones are ignored.
    pub(super) fn max(self, other: Self) -> Self {
        let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
        Self(std::array::from_fn(|level| finite(self.0[level]).max(finite(other.0[level]))))
    }

    pub(super) const fn numbers(&self) -> &[f64] {
        &self.0
    }

    /// From its numbers.
    pub(super) fn from_numbers(numbers: &[f64]) -> Self {
        Self(std::array::from_fn(|level| numbers.get(level).copied().unwrap_or(0.0)))
    }
}

fn share(level: usize) -> f64 {
    0.5f64.powi(level as i32)
}

/// The share of `total` samples that a random `seen` of them may miss altogether with a probability of at least `missed`: all
/// of K of them are missed with a probability of at most (1 - n/N)^K.
pub(super) fn may_be_missed(seen: usize, total: usize, missed: f64) -> f64 {
    if seen >= total {
        return 0.0;
    }
    let kept = (1.0 - seen as f64 / total as f64).ln();
    (missed.ln() / kept / total as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_has_the_contributions_of_the_largest() {
        // 16 values: 8, 4, 2, 1 and twelve below 0
        let values = (0..16).map(|i| if i < 4 { f64::from(8 >> i) } else { -3.0 });
        let tail = Tail::of(values);
        for (rare, sum) in [(1.0, 15.0), (0.25, 15.0), (0.125, 12.0), (0.0625, 8.0), (0.03125, 4.0)] {
            assert!((tail.at(rare) - sum / 16.0).abs() < 1e-15, "{rare}");
        }
        // between two shares, the larger one is used
        assert!((tail.at(0.1) - 12.0 / 16.0).abs() < 1e-15);
        // a share smaller than any kept
        assert!((tail.at(2f64.powi(-20)) - 2f64.powi(-20) * 8.0).abs() < 1e-18);
        assert_eq!(Tail::from_numbers(tail.numbers()), tail);
    }

    #[test]
    fn shares_that_may_be_missed_have_that_chance() {
        // of 100, 50 are seen: 2^-10 is the chance to miss ten
        let share = may_be_missed(50, 100, 2f64.powi(-10));
        assert!((share - 0.1).abs() < 1e-12, "{share}");
        assert_eq!(may_be_missed(100, 100, 1e-3).to_bits(), 0f64.to_bits());
        assert_eq!(may_be_missed(1, 1000, 1e-3).to_bits(), 1f64.to_bits());
    }
}
