//! Means of chunks drawn without replacement.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::probes::moments::Moments;

/// Count, mean and variance of values of some of `total` chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) count: usize,
    pub(super) mean: f64,
    /// Unbiased variance; 0 for fewer than two values.
    pub(super) var: f64,
    /// Degrees of freedom of the variance.
    pub(super) freedom: f64,
    /// Total number of chunks from which they were drawn.
    pub(super) total: usize,
}

/// An estimate and the variance of its error, with the degrees of freedom of the latter (Student's t).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) var: f64,
    pub(super) freedom: f64,
}

impl Sample {
    pub(super) fn of(values: &[f64], total: usize) -> Self {
        let Moments { mean, variance, .. } = Moments::of(values);
        let count = values.len();
        let freedom = count.saturating_sub(1) as f64;
        Self { count, mean, var: variance.unwrap_or(0.0), freedom, total }
    }

    /// Combined with a variance estimated from earlier samples, which counts as `freedom` values.
    pub(super) fn with_prior(self, var: f64, freedom: f64) -> Self {
        let all = self.freedom + freedom;
        Self { var: (self.var * self.freedom + var * freedom) / all.max(1.0), freedom: all, ..self }
    }

    /// The mean of all chunks. The variance is that of a sample without replacement, s²/n (1 - n/N) (Cochran, Sampling
    /// Techniques, 1977, 2.6).
    pub(super) fn estimate(&self) -> Estimate {
        let left_out = 1.0 - self.count as f64 / self.total as f64;
        Estimate { value: self.mean, var: self.var / self.count as f64 * left_out, freedom: self.freedom }
    }
}

impl Estimate {
    /// A number that is not an estimate.
    pub(super) const EXACT_ZERO: Self = Self { value: 0.0, var: 0.0, freedom: f64::INFINITY };

    /// `factor` times it.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { value: factor * self.value, var: factor * factor * self.var, ..self }
    }

    /// The sum of two whose errors are independent, with Welch and Satterthwaite's degrees of freedom.
    pub(super) fn plus(self, other: Self) -> Self {
        let var = self.var + other.var;
        // uses shares of the variance, whose squares do not underflow
        let part = |one: Self| if one.var > 0.0 { (one.var / var).powi(2) / one.freedom } else { 0.0 };
        let freedom = (part(self) + part(other)).recip();
        Self { value: self.value + other.value, var, freedom }
    }

    /// Whether it is below 0 except with probability `level`, by Student's t (1908). If the error is 0 because values are equal,
    /// they say nothing about it; `is_exact` says that all are known.
    pub(super) fn is_below_zero(self, level: f64, is_exact: bool) -> bool {
        if is_exact {
            return self.value < 0.0;
        }
        let error = self.var.sqrt();
        if !(error > 0.0 && self.value < 0.0 && self.freedom > 0.0) {
            return false;
        }
        let freedom = self.freedom.min(1e6);
        StudentsT::new(0.0, 1.0, freedom).is_ok_and(|student| student.cdf(self.value / error) < level)
    }
}

/// The median absolute value, the upper of two; NaN if there are none.
pub(super) fn median_size(values: &[f64]) -> f64 {
    let mut sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    sizes.get(sizes.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The values minus their mean.
pub(super) fn from_mean(values: Vec<f64>) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.into_iter().map(|value| value - mean).collect()
}
