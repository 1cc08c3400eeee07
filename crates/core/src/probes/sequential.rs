//! Tests on samples that grow, drawn without replacement from a finite population: is its mean below 0?
//!
//! A test looks at n_1 < n_2 < ... values. At each look the mean is compared with 0 by Student's t (1908), its standard
//! error times √(1 - n/N) for a population of N (Cochran, Sampling Techniques, 1977, 2.6), at the level that an error budget
//! spent evenly over the looks leaves (alpha spending: Lan & DeMets, 1983, with Bonferroni's bound, so that it holds however
//! looks depend on each other). At n = N the mean is known. Student's t is exact for normal values; chunk means are close
//! to normal, and how close it must be is what `tests` simulates.

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

    /// Whether the population's mean is below 0, but for a chance of `level`.
    pub(crate) fn is_below_zero(&self, total: usize, level: f64) -> bool {
        self.chance_of_zero(total, self.mean) < level
    }

    /// Whether the population's mean is above 0, but for a chance of `level`.
    pub(crate) fn is_above_zero(&self, total: usize, level: f64) -> bool {
        self.chance_of_zero(total, -self.mean) < level
    }

    /// The chance of a mean as far below 0 as `mean` if the population's were 0.
    fn chance_of_zero(&self, total: usize, mean: f64) -> f64 {
        // a NaN is below nothing
        if !(mean < 0.0) {
            return 1.0;
        }
        if self.count == total {
            return 0.0;
        }
        let error = self.standard_error(total);
        if self.count < 2 || !(error > 0.0) {
            // equal values say nothing about their spread
            return 1.0;
        }
        StudentsT::new(0.0, 1.0, (self.count - 1) as f64).map_or(1.0, |student| student.cdf(mean / error))
    }
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
        // t of 9 degrees of freedom: 2.8214 at 1% (tables); 16 values in all of a huge population
        let sample = Sample { count: 10, mean: -2.8214 / 10f64.sqrt(), var: 1.0 };
        let chance = sample.chance_of_zero(usize::MAX, sample.mean);
        assert!((chance - 0.01).abs() < 1e-5, "{chance}");
        assert!(sample.is_below_zero(usize::MAX, 0.0101) && !sample.is_below_zero(usize::MAX, 0.0099));
        assert!(!sample.is_above_zero(usize::MAX, 0.5));
        let known = Sample { count: 10, ..sample };
        assert!(known.is_below_zero(10, 1e-300));
        let equal = Sample { var: 0.0, ..sample };
        assert!(!equal.is_below_zero(20, 0.5));
    }

    /// The share of populations with mean exactly 0 (the hardest) that some look calls below 0, at `level` in all.
    fn error_rate(draw: impl Fn(&mut rand_chacha::ChaCha8Rng) -> f64, level: f64, populations: usize) -> f64 {
        const TOTAL: usize = 450;
        let looks = looks(TOTAL);
        let each = level / looks.len() as f64;
        let mut rng = Seed(3).rng(Stream::Order, 0, 0);
        let mut errors = 0;
        for _ in 0..populations {
            let mut values: Vec<f64> = (0..TOTAL).map(|_| draw(&mut rng)).collect();
            let mean = values.iter().sum::<f64>() / TOTAL as f64;
            values.iter_mut().for_each(|x| *x -= mean - 1e-12);
            values.shuffle(&mut rng);
            let called = |&n: &usize| Sample::of(values[..n].iter().copied()).is_below_zero(TOTAL, each);
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
