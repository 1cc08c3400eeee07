//! Estimates, their errors, and the tests that verdicts rest on.

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
}

/// A straight line y = a + b x through points, by weighted least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LineFit {
    /// b
    pub(crate) slope: f64,
    /// Its standard error, if those of the points are known.
    pub(crate) error: f64,
}

/// A point of a [`LineFit`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FitPoint {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Standard error of y.
    pub(crate) error: f64,
}

impl LineFit {
    /// `None` for fewer than two different x.
    pub(crate) fn new(points: &[FitPoint]) -> Option<Self> {
        let weight = |point: &FitPoint| point.error.max(1e-12).powi(-2);
        let total: f64 = points.iter().map(weight).sum();
        let x = points.iter().map(|point| weight(point) * point.x).sum::<f64>() / total;
        let y = points.iter().map(|point| weight(point) * point.y).sum::<f64>() / total;
        let spread: f64 = points.iter().map(|point| weight(point) * (point.x - x).powi(2)).sum();
        let product: f64 = points.iter().map(|point| weight(point) * (point.x - x) * (point.y - y)).sum();
        (spread > 0.0).then(|| Self { slope: product / spread, error: spread.sqrt().recip() })
    }
}

/// The median of the values that are known; the lower of the two middle ones if their number is even.
pub(crate) fn median(values: impl IntoIterator<Item = Measured>) -> Measured {
    let mut sorted: Vec<f64> = values.into_iter().filter_map(Measured::get).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().into()
}

/// The mean, missing if there are no values.
pub(crate) fn mean(values: &[f64]) -> Measured {
    (values.iter().sum::<f64>() / values.len() as f64).into()
}

/// Bounds between which the proportion behind `count` of `total` lies (Clopper & Pearson, 1934), each one-sided at [`LEVEL`].
pub(crate) fn proportion_bounds(count: usize, total: usize) -> [f64; 2] {
    let (k, n) = (count as f64, total as f64);
    let quantile = |a: f64, b: f64, p: f64| Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(p));
    let low = if count == 0 { 0.0 } else { quantile(k, n - k + 1.0, LEVEL) };
    let high = if count == total { 1.0 } else { quantile(k + 1.0, n - k, 1.0 - LEVEL) };
    [low, high]
}

/// The normal quantile that any of `comparisons` two-sided comparisons exceeds by chance with probability at most [`LEVEL`]
/// (Bonferroni).
pub(crate) fn bonferroni(comparisons: usize) -> f64 {
    let tail = LEVEL / 2.0 / comparisons.max(1) as f64;
    Normal::new(0.0, 1.0).map_or(f64::NAN, |normal| normal.inverse_cdf(1.0 - tail))
}

/// Degrees of freedom from which quantiles of Student's t are expanded around those of the normal distribution.
const MANY: f64 = 1e4;

/// The value that |t| of Student's distribution exceeds with probability `level`; the normal one for infinite `freedom`.
pub(crate) fn student_quantile(level: f64, freedom: f64) -> f64 {
    let z = Normal::standard().inverse_cdf(1.0 - level / 2.0);
    if freedom >= MANY {
        // Cornish & Fisher; what follows is of order 1 / freedom²
        return z + (z.powi(3) + z) / (4.0 * freedom);
    }
    let Ok(student) = StudentsT::new(0.0, 1.0, freedom) else { return f64::NAN };
    // by bisection: statrs' own inverse does not end for some arguments
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
        // shares rather than squares of variances, which may overflow or vanish
        let share: f64 = known.map(|part| (part.value / value).powi(2) / part.freedom).sum();
        Self { value, freedom: share.recip() }
    }
}

/// p-value of the rise from `a` to `b` by Welch's one-sided t-test: the probability of one at least as large if there is none.
pub(crate) fn p_of_rise(a: Mean, b: Mean) -> f64 {
    let difference = b.value - a.value;
    if !difference.is_finite() {
        return f64::NAN;
    }
    let Variance { value, freedom } =
        Variance::sum(&[a, b].map(|mean| Variance::of_error(mean.error, mean.freedom)));
    if value == 0.0 {
        return if difference > 0.0 { 0.0 } else { 1.0 };
    }
    let t = difference / value.sqrt();
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |student| student.sf(t))
}

/// Blocks that a series is cut into, at most.
pub(crate) const BLOCKS: usize = 10;

/// `count` blocks of a series of `len` values, whose lengths differ by at most one.
pub(crate) fn blocks(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).map(move |block| block * len / count..(block + 1) * len / count)
}

/// The mean of a series whose values depend on their neighbours: its error is that of the means of up to [`BLOCKS`] blocks.
pub(crate) fn mean_of_blocks(values: &[f64]) -> Option<Mean> {
    let count = values.len().min(BLOCKS);
    if count < 2 {
        return None;
    }
    let means: Vec<f64> = blocks(values.len(), count).map(|block| mean(&values[block]).or_nan()).collect();
    let n = count as f64;
    let middle = mean(&means).or_nan();
    let variance = means.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / (n - 1.0);
    Some(Mean { value: mean(values).or_nan(), error: (variance / n).sqrt(), freedom: n - 1.0 })
}

#[cfg(test)]
mod tests {
    use walk_record::measured;

    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }

    #[test]
    fn proportions_have_the_textbook_bounds() {
        // 1 - 0.05^(1/40): the rule of three's exact form
        close(proportion_bounds(0, 40)[1], 0.072158);
        assert_eq!(proportion_bounds(0, 40)[0].to_bits(), 0);
        assert_eq!(proportion_bounds(40, 40)[1].to_bits(), 1f64.to_bits());
        // one of two: P(at least 1) = 1 - (1-p)^2 and P(at most 1) = 1 - p^2 are 5%
        close(proportion_bounds(1, 2)[0], 1.0 - 0.95f64.sqrt());
        close(proportion_bounds(1, 2)[1], 0.95f64.sqrt());
        close(bonferroni(1), 1.95996);
    }

    #[test]
    fn quantiles_of_few_values_are_students() {
        // textbook values of t at 5% and, one-sided, at 0.05%
        close(student_quantile(0.05, 9.0), 2.26216);
        close(student_quantile(0.001, 9.0), 4.78091);
        close(student_quantile(0.05, f64::INFINITY), 1.95996);
        // either side of the expansion
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
        let points = [0.0, 1.0, 2.0].map(|x| FitPoint { x, y: 3.0 + 0.5 * x, error: 0.1 });
        let fit = LineFit::new(&points).unwrap();
        // sum of squares about the mean is 2
        assert!((fit.slope - 0.5).abs() < 1e-12 && (fit.error - 0.1 / 2f64.sqrt()).abs() < 1e-12);
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
        let values: Vec<f64> = (0..100).map(|i| f64::from(i / 10)).collect();
        let mean = mean_of_blocks(&values).unwrap();
        close(mean.value, 4.5);
        // deviation of 0..9 over the root of ten
        close(mean.error, (55.0f64 / 6.0).sqrt() / 10f64.sqrt());
        assert_eq!(mean_of_blocks(&[1.0]), None);
    }
}
