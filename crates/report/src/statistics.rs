//! Estimates, their errors, and the tests behind verdicts.

use std::ops::Range;

use statrs::distribution::{Beta, ContinuousCDF, Normal, StudentsT};
use walk_record::Measured;

/// Probability of a wrong verdict on one claim.
pub(crate) const LEVEL: f64 = 0.05;

/// A mean and its standard error, with the degrees of freedom of the latter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    pub(crate) value: f64,
    pub(crate) error: f64,
    pub(crate) freedom: f64,
}

impl Mean {
    /// A value that is not an estimate.
    pub(crate) const fn exact(value: f64) -> Self {
        Self { value, error: 0.0, freedom: f64::INFINITY }
    }

    /// A sum of independent estimates times factors.
    fn combination(terms: &[(f64, Self)]) -> Self {
        let value = terms.iter().map(|(factor, mean)| factor * mean.value).sum();
        let variance = |(factor, mean): &(f64, Self)| Variance::of_error(factor * mean.error, mean.freedom);
        let variance = Variance::sum(&terms.iter().map(variance).collect::<Vec<Variance>>());
        Self { value, error: variance.value.sqrt(), freedom: variance.freedom }
    }

    /// How far one-sided bounds at [`LEVEL`] lie from the value.
    pub(crate) fn one_sided_reach(self) -> f64 {
        if self.error == 0.0 { 0.0 } else { student_quantile(2.0 * LEVEL, self.freedom) * self.error }
    }
}

/// Estimates the mean of independent values; `None` for fewer than two.
pub(crate) fn sample_mean(values: &[f64]) -> Option<Mean> {
    let n = values.len() as f64;
    let value = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value_i| (value_i - value).powi(2)).sum::<f64>() / (n - 1.0);
    (values.len() > 1).then(|| Mean { value, error: (variance / n).sqrt(), freedom: n - 1.0 })
}

/// The standard deviation of values, with n - 1; missing for fewer than two.
pub(crate) fn deviation(values: &[f64]) -> Measured {
    sample_mean(values).map(|mean| mean.error * (values.len() as f64).sqrt()).into()
}

/// Welch's test of the difference between two means (Welch, 1947).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Welch {
    /// The second mean minus the first.
    pub(crate) difference: f64,
    pub(crate) t: f64,
    /// Degrees of freedom (Satterthwaite, 1946).
    pub(crate) freedom: f64,
    /// Two-sided.
    pub(crate) p: f64,
}

/// Tests whether the means of two independent samples differ; `None` if one has fewer than two values, or if neither varies.
pub(crate) fn welch(a: &[f64], b: &[f64]) -> Option<Welch> {
    let difference = Mean::combination(&[(1.0, sample_mean(b)?), (-1.0, sample_mean(a)?)]);
    let t = difference.value / difference.error;
    let student = StudentsT::new(0.0, 1.0, difference.freedom).ok()?;
    let p = 2.0 * student.sf(t.abs());
    (difference.error > 0.0).then_some(Welch {
        difference: difference.value,
        t,
        freedom: difference.freedom,
        p,
    })
}

/// P-values of several tests, corrected to bound the probability of any false rejection (Holm, 1979).
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&one, &other| p_values[one].total_cmp(&p_values[other]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max((p_values[index] * (p_values.len() - rank) as f64).min(1.0));
        corrected[index] = largest;
    }
    corrected
}

/// A least-squares line y = a + b x with equal weights: weights from errors that are themselves estimates would make the
/// slope's error too small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LineFit {
    /// b, with the error that follows from those of the points.
    pub(crate) slope: Mean,
}

/// A point of a [`LineFit`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FitPoint {
    pub(crate) x: f64,
    pub(crate) y: Mean,
}

impl LineFit {
    /// `None` for fewer than two different x.
    pub(crate) fn new(points: &[FitPoint]) -> Option<Self> {
        let x = points.iter().map(|point| point.x).sum::<f64>() / points.len() as f64;
        let spread: f64 = points.iter().map(|point| (point.x - x).powi(2)).sum();
        let terms = points.iter().map(|point| ((point.x - x) / spread, point.y));
        (spread > 0.0).then(|| Self { slope: Mean::combination(&terms.collect::<Vec<_>>()) })
    }
}

/// Bounds on a proportion observed as `count` of `total` (Clopper and Pearson, 1934), each one-sided at [`LEVEL`]. The numbers
/// need not be integers.
pub(crate) fn proportion_bounds(count: f64, total: f64) -> [f64; 2] {
    let others = total - count;
    let quantile = |a: f64, b: f64, p: f64| Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(p));
    [
        if count <= 0.0 { 0.0 } else { quantile(count, others + 1.0, LEVEL) },
        if others <= 0.0 { 1.0 } else { quantile(count + 1.0, others, 1.0 - LEVEL) },
    ]
}

/// The median of the known values; the lower of the two middle ones if their number is even.
pub(crate) fn median(values: impl IntoIterator<Item = Measured>) -> Measured {
    let mut sorted: Vec<f64> = values.into_iter().filter_map(Measured::get).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().into()
}

/// The sum of the squared residuals of the least-squares line through points (x, y); NaN if x does not vary.
pub(crate) fn residual_of_line(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / n, sum.1 + point.1 / n));
    let apart = || points.iter().map(|point| (point.0 - x, point.1 - y));
    let slope = apart().map(|(dx, dy)| dx * dy).sum::<f64>() / apart().map(|(dx, _)| dx * dx).sum::<f64>();
    apart().map(|(dx, dy)| (dy - slope * dx).powi(2)).sum()
}

/// The mean, missing if there are no values.
pub(crate) fn mean(values: &[f64]) -> Measured {
    (values.iter().sum::<f64>() / values.len() as f64).into()
}

/// Degrees of freedom from which quantiles of Student's t are expanded around those of the normal distribution.
const MANY: f64 = 1e4;

/// The value that |t| of Student's t distribution exceeds with probability `level`; the normal quantile for infinite `freedom`.
pub(crate) fn student_quantile(level: f64, freedom: f64) -> f64 {
    let z = Normal::standard().inverse_cdf(1.0 - level / 2.0);
    if freedom >= MANY {
        // Cornish-Fisher expansion; the next term is of order 1 / freedom²
        return z + (z.powi(3) + z) / (4.0 * freedom);
    }
    let Ok(student) = StudentsT::new(0.0, 1.0, freedom) else { return f64::NAN };
    // by bisection: statrs' own inverse does not terminate for some arguments
    let (mut low, mut high) = (z, 2.0 * z);
    while student.sf(high) > level / 2.0 && high.is_finite() {
        (low, high) = (high, 2.0 * high);
    }
    while high - low > 1e-9 * high {
        let middle = 0.5 * (low + high);
        if student.sf(middle) > level / 2.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// An estimated variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Variance {
    pub(crate) value: f64,
    /// Its degrees of freedom; infinite if it is known.
    pub(crate) freedom: f64,
}

impl Variance {
    /// The square of a standard error.
    pub(crate) fn of_error(error: f64, freedom: f64) -> Self {
        Self { value: error * error, freedom }
    }

    /// The variance of a sum of independent terms, with the degrees of freedom of Welch & Satterthwaite; a variance of 0
    /// contributes nothing.
    pub(crate) fn sum(parts: &[Self]) -> Self {
        let value: f64 = parts.iter().map(|part| part.value).sum();
        let known = parts.iter().filter(|part| part.value > 0.0);
        // ratios rather than squares of variances, which may overflow or underflow
        let share: f64 = known.map(|part| (part.value / value).powi(2) / part.freedom).sum();
        Self { value, freedom: share.recip() }
    }
}

/// p-value of a mean above 0 by Student's one-sided t-test: the probability of an estimate at least as large if it is 0.
pub(crate) fn p_of_mean(mean: Mean) -> f64 {
    let Mean { value, error, freedom } = mean;
    if !value.is_finite() || error.is_nan() {
        return f64::NAN;
    }
    if error == 0.0 {
        // a tie is no evidence either way
        return if value > 0.0 {
            0.0
        } else if value < 0.0 {
            1.0
        } else {
            0.5
        };
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |student| student.sf(value / error))
}

/// p-value of the increase from `a` to `b` by Welch's one-sided t-test.
pub(crate) fn p_of_rise(a: Mean, b: Mean) -> f64 {
    p_of_mean(Mean::combination(&[(-1.0, a), (1.0, b)]))
}

/// The correlation of neighbors that is assumed for a series of updates too short to estimate it. Measured for the directions
/// in which the valley floor moves.
pub(crate) const NEIGHBOR_CORRELATION: f64 = 0.58;

/// Maximum number of blocks that a series is cut into: few, to make them long.
const BLOCKS: usize = 5;

/// `count` blocks of a series of `len` values, whose lengths differ by at most one.
fn blocks(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).map(move |block| block * len / count..(block + 1) * len / count)
}

/// The mean of a series whose values depend on their neighbors: its error is that of the means of up to [`BLOCKS`] blocks,
/// corrected for the correlation of neighboring blocks, assuming a first-order autoregressive series with
/// [`NEIGHBOR_CORRELATION`].
pub(crate) fn mean_of_blocks(values: &[f64]) -> Option<Mean> {
    let (n, count) = (values.len(), values.len().min(BLOCKS));
    let means: Vec<f64> = blocks(n, count).map(|block| mean(&values[block]).or_nan()).collect();
    let of_blocks = sample_mean(&means)?;
    let (whole, block) = (variance_of_mean(n as f64), variance_of_mean(n as f64 / count as f64));
    // of b blocks, E[s² / b] = (V(n / b) - V(n)) / (b - 1), where V(n) is to be estimated
    let correction = (whole * of_blocks.freedom / (block - whole)).sqrt();
    Some(Mean { value: mean(values).or_nan(), error: correction * of_blocks.error, ..of_blocks })
}

/// V(n): the variance of the mean of n values of a first-order autoregressive series with [`NEIGHBOR_CORRELATION`], whose values
/// have variance 1.
fn variance_of_mean(n: f64) -> f64 {
    let r = NEIGHBOR_CORRELATION;
    let ends = 2.0 * r * (1.0 - r.powf(n)) / (n * (1.0 - r).powi(2));
    ((1.0 + r) / (1.0 - r) - ends) / n
}

#[cfg(test)]
mod tests {
    use walk_record::measured;

    use super::*;
    use crate::simulation::{Simulated, share, three_errors, trials};

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }

    #[test]
    fn welch_and_holm_give_the_known_numbers() {
        // scipy.stats.ttest_ind(b, a, equal_var=False)
        let test = welch(&[1.0, 2.0, 4.0], &[3.0, 5.5, 9.0, 4.0]).unwrap();
        close(test.difference, 3.041_667);
        close(test.t, 1.923_051);
        close(test.freedom, 4.839_887);
        close(test.p, 0.114_396);
        assert!(welch(&[1.0, 1.0], &[1.0, 1.0]).is_none() && welch(&[1.0], &[1.0, 2.0]).is_none());
        assert_eq!(holm(&[0.01, 0.5, 0.02]), [0.03, 0.5, 0.04]);
    }

    #[test]
    fn proportions_have_the_textbook_bounds() {
        // 1 - 0.05^(1/40): the rule of three's exact form
        close(proportion_bounds(0.0, 40.0)[1], 0.072158);
        // one of two: P(at least 1) = 1 - (1-p)^2 and P(at most 1) = 1 - p^2 are 5%
        close(proportion_bounds(1.0, 2.0)[0], 1.0 - 0.95f64.sqrt());
        close(proportion_bounds(1.0, 2.0)[1], 0.95f64.sqrt());
    }

    #[test]
    fn quantiles_of_few_values_are_students() {
        // textbook values of t at 5% and, one-sided, at 0.05%
        close(student_quantile(0.05, 9.0), 2.26216);
        close(student_quantile(0.001, 9.0), 4.78091);
        close(student_quantile(0.05, f64::INFINITY), 1.95996);
        // both sides of the expansion's limit
        close(student_quantile(1e-4, MANY - 1.0), student_quantile(1e-4, MANY));
        // far in the tail, of one value: cot(pi p / 2)
        let exact = (std::f64::consts::FRAC_PI_2 * 1e-6).tan().recip();
        assert!((student_quantile(1e-6, 1.0) / exact - 1.0).abs() < 1e-6, "{}", student_quantile(1e-6, 1.0));
        let sum = |parts: [f64; 2]| Variance::sum(&parts.map(|value| Variance { value, freedom: 9.0 }));
        close(sum([2.0, 2.0]).freedom, 18.0);
        close(sum([3.0, 0.0]).freedom, 9.0);
        close(sum([1.0, 3.0]).value, 4.0);
    }

    #[test]
    fn a_line_and_its_error_are_those_of_least_squares() {
        let points = [0.0, 1.0, 2.0].map(|x| {
            let y = Mean { value: 3.0 + 0.5 * x, error: 0.1, freedom: 7.0 };
            FitPoint { x, y }
        });
        let slope = LineFit::new(&points).unwrap().slope;
        // sum of squares about the mean is 2; the point in the middle does not count, and two equal errors of 7 have 14
        assert!((slope.value - 0.5).abs() < 1e-12 && (slope.error - 0.1 / 2f64.sqrt()).abs() < 1e-12);
        close(slope.freedom, 14.0);
        assert_eq!(LineFit::new(&points[..1]), None);
    }

    #[test]
    fn medians_take_the_middle_of_what_is_known() {
        let values = measured(&[3.0, f64::NAN, 1.0, 2.0]);
        assert_eq!(median(values), 2.0.into());
        assert_eq!(median([]), Measured::MISSING);
    }

    #[test]
    fn a_series_that_wanders_has_a_larger_error_than_its_values_say() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i / 200)).collect();
        let mean = mean_of_blocks(&values).unwrap();
        close(mean.value, 2.0);
        // standard deviation of 0..4 over the root of five; blocks this long are nearly independent
        let error = 2.5f64.sqrt() / 5f64.sqrt();
        assert!(mean.error > error && mean.error < 1.02 * error, "{}", mean.error);
        assert_eq!(mean_of_blocks(&[1.0]), None);
    }

    /// The mean of 50 values whose neighbors have a correlation of 0.58 significantly exceeds 0 in 5% of trials, that of
    /// independent values in no more than 5%.
    #[test]
    fn means_of_blocks_are_wrong_as_rarely_as_they_say() {
        let (mut random, n_trials) = (Simulated::new(4), trials(10_000));
        let mut wrong = |correlation: f64| {
            let wrong = share(n_trials, || {
                let values = random.autoregressive(correlation, 50);
                p_of_mean(mean_of_blocks(&values).unwrap()) < LEVEL
            });
            println!("correlation {correlation}: {wrong:.4}");
            wrong
        };
        let error = three_errors(n_trials);
        assert!((wrong(NEIGHBOR_CORRELATION) - LEVEL).abs() < error);
        assert!(wrong(0.0) < LEVEL + error && wrong(-0.5) < LEVEL + error);
    }
}
