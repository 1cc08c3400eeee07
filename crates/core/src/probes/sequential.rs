//! Tests on samples that grow, drawn without replacement from a finite population: is its mean below 0?
//!
//! A test looks at n_1 < n_2 < ... values. At each look the mean is compared with 0 by Student's t (1908), its standard
//! error times √(1 - n/N) for a population of N (Cochran, Sampling Techniques, 1977, 2.6), at the level that an error budget
//! spent evenly over the looks leaves (alpha spending: Lan & DeMets, 1983, with Bonferroni's bound, so that it holds however
//! looks depend on each other). At n = N the mean is known. Student's t is exact for normal values; chunk means are close
//! to normal, and how close it must be is what `tests` simulates.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Fewest values a look has.
const FIRST_LOOK: usize = 8;
/// Each look has at least this many times the values of the one before.
const GROWTH: f64 = 1.2;

/// The sizes of the looks at a population of `total`, ending with all of it.
pub(crate) fn looks(total: usize) -> Vec<usize> {
    let mut looks = vec![];
    let mut next = FIRST_LOOK.min(total);
    while next < total {
        looks.push(next);
        next = ((next as f64 * GROWTH).ceil() as usize).max(next + 1);
    }
    looks.push(total);
    looks
}

/// Count, mean and variance of some values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) count: usize,
    pub(crate) mean: f64,
    /// Unbiased; 0 of fewer than two values.
    pub(crate) var: f64,
}

impl Sample {
    pub(crate) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count();
        let mean = values.clone().sum::<f64>() / count as f64;
        let squares: f64 = values.map(|x| (x - mean) * (x - mean)).sum();
        let var = if count > 1 { squares / (count - 1) as f64 } else { 0.0 };
        Self { count, mean, var }
    }

    /// Standard error of the mean as an estimate of that of a population of `total`.
    pub(crate) fn standard_error(&self, total: usize) -> f64 {
        (self.var / self.count as f64 * (1.0 - self.count as f64 / total as f64)).sqrt()
    }

    /// A bound that the population's mean is below, but for the chance of `tail`.
    pub(crate) fn upper_bound(&self, total: usize, tail: &Tail) -> f64 {
        self.mean + self.margin(total, tail)
    }

    /// A bound that the population's mean is above, but for the chance of `tail`.
    pub(crate) fn lower_bound(&self, total: usize, tail: &Tail) -> f64 {
        self.mean - self.margin(total, tail)
    }

    fn margin(&self, total: usize, tail: &Tail) -> f64 {
        if self.count == total {
            return 0.0;
        }
        let error = self.standard_error(total);
        // few values, or equal ones, say nothing about their spread
        if error > 0.0 { tail.quantile(self.count) * error } else { f64::INFINITY }
    }
}

/// Student's quantiles at one level, for the sizes of the looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(BTreeMap<usize, f64>);

impl Tail {
    pub(crate) fn new(level: f64, looks: &[usize]) -> Self {
        Self(looks.iter().map(|&count| (count, quantile(count.saturating_sub(1), level))).collect())
    }

    /// Of a sample of `count` values; infinite for a size that is no look's.
    fn quantile(&self, count: usize) -> f64 {
        self.0.get(&count).copied().unwrap_or(f64::INFINITY)
    }
}

/// The t with a chance of `level` above it, by bisection on the lower tail, which is exact to its last digits.
fn quantile(freedom: usize, level: f64) -> f64 {
    let Ok(student) = StudentsT::new(0.0, 1.0, freedom as f64) else { return f64::INFINITY };
    let (mut low, mut high) = (0.0, 1.0);
    while student.cdf(-high) > level {
        high *= 2.0;
        if high > 1e12 {
            return f64::INFINITY;
        }
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if student.cdf(-middle) > level { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand::seq::SliceRandom;
    use rand_distr::{Distribution, Gamma, Normal};

    use super::*;
    use crate::{Seed, Stream};

    #[test]
    fn looks_grow_to_the_whole() {
        assert_eq!(looks(5), [5]);
        let all = looks(450);
        assert_eq!((all[0], all[1], *all.last().unwrap()), (8, 10, 450));
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]) && all.len() < 30);
    }

    #[test]
    fn students_quantiles_are_met() {
        // tables: t of 9 degrees of freedom is 2.8214 at 1%, of 29 3.6594 at 0.05%
        assert!((quantile(9, 0.01) - 2.8214).abs() < 1e-4);
        assert!((quantile(29, 0.0005) - 3.6594).abs() < 1e-4);
        let sample = Sample { count: 10, mean: 1.0, var: 4.0 };
        let margin = 2.8214 * (4.0f64 / 10.0 * 0.5).sqrt();
        let tail = Tail::new(0.01, &[10]);
        assert!((sample.upper_bound(20, &tail) - 1.0 - margin).abs() < 1e-4);
        assert!((sample.lower_bound(20, &tail) - 1.0 + margin).abs() < 1e-4);
        // all values seen: the mean is known; equal values say nothing
        assert!((sample.upper_bound(10, &tail) - 1.0).abs() < 1e-15);
        assert_eq!(Sample { var: 0.0, ..sample }.upper_bound(20, &tail), f64::INFINITY);
    }

    /// The share of populations with mean exactly 0 (the hardest) that some look calls below 0, at `level` in all.
    fn error_rate(draw: impl Fn(&mut rand_chacha::ChaCha8Rng) -> f64, level: f64, populations: usize) -> f64 {
        const TOTAL: usize = 450;
        let looks = looks(TOTAL);
        let each = Tail::new(level / looks.len() as f64, &looks);
        let mut rng = Seed(3).rng(Stream::Order, []);
        let mut errors = 0;
        for _ in 0..populations {
            let mut values: Vec<f64> = (0..TOTAL).map(|_| draw(&mut rng)).collect();
            let mean = values.iter().sum::<f64>() / TOTAL as f64;
            values.iter_mut().for_each(|x| *x -= mean - 1e-12);
            values.shuffle(&mut rng);
            let called = |&n: &usize| Sample::of(values[..n].iter().copied()).upper_bound(TOTAL, &each) < 0.0;
            errors += usize::from(looks[..looks.len() - 1].iter().any(called));
        }
        errors as f64 / populations as f64
    }

    #[test]
    fn the_promised_error_rate_holds_for_normal_and_for_skewed_populations() {
        let normal = Normal::new(0.0, 1.0).unwrap();
        // at 5% in all, 3,000 populations: 150 +- 12 errors would be all that is allowed
        let rate = error_rate(|rng| normal.sample(rng), 0.05, 3000);
        assert!(rate < 0.05, "{rate}");
        // chunk means of 100 exponential losses: gamma of shape 100, skewness 0.2, to both sides
        let gamma = Gamma::new(100.0, 1.0).unwrap();
        for sign in [1.0, -1.0] {
            let rate = error_rate(|rng| sign * gamma.sample(rng), 0.05, 3000);
            assert!(rate < 0.05, "{sign}: {rate}");
        }
        // one in a hundred chunks has ten times the spread
        let rate = error_rate(
            |rng| normal.sample(rng) * if rng.gen_range(0..100) == 0 { 10.0 } else { 1.0 },
            0.05,
            3000,
        );
        assert!(rate < 0.05, "{rate}");
    }
}
