//! What the verdicts rest on.

use std::ops::Range;

use statrs::distribution::{Beta, ContinuousCDF, Normal, StudentsT};

use super::Verdict;

/// Chance of a wrong verdict on one claim.
pub(super) const LEVEL: f64 = 0.05;

/// A mean and its standard error, with the degrees of freedom of the latter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mean {
    pub(super) value: f64,
    pub(super) error: f64,
    pub(super) freedom: f64,
}

/// The share `count / of` is surely (one-sided, [`LEVEL`] each) between these (Clopper & Pearson, 1934).
pub(super) fn share_bounds(count: usize, of: usize) -> [f64; 2] {
    let (k, n) = (count as f64, of as f64);
    let quantile = |a: f64, b: f64, p: f64| Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(p));
    let low = if count == 0 { 0.0 } else { quantile(k, n - k + 1.0, LEVEL) };
    let high = if count == of { 1.0 } else { quantile(k + 1.0, n - k, 1.0 - LEVEL) };
    [low, high]
}

/// The normal quantile that `comparisons` two-sided comparisons together exceed by chance with probability [`LEVEL`], at most
/// (Bonferroni).
pub(super) fn bonferroni(comparisons: usize) -> f64 {
    let tail = LEVEL / 2.0 / comparisons.max(1) as f64;
    Normal::new(0.0, 1.0).map_or(f64::NAN, |normal| normal.inverse_cdf(1.0 - tail))
}

/// Whether means rise from each to the next, by Welch's t with Bonferroni's correction, and the largest p-value of a rise.
pub(super) fn rising(means: &[Mean]) -> (Verdict, f64) {
    let comparisons = means.len().saturating_sub(1);
    let mut verdict = if comparisons == 0 { Verdict::NotMeasured } else { Verdict::Holds };
    let mut largest = 0.0f64;
    for pair in means.windows(2) {
        let rise = p_of_rise(pair[0], pair[1]);
        largest = largest.max(rise);
        let level = LEVEL / comparisons as f64;
        if 1.0 - rise < level {
            return (Verdict::DoesNotHold, largest);
        }
        if rise.is_nan() || rise >= level {
            verdict = Verdict::Undecided;
        }
    }
    (verdict, largest)
}

/// The chance of as large a rise from `a` to `b` if there is none.
fn p_of_rise(a: Mean, b: Mean) -> f64 {
    let difference = b.value - a.value;
    let [va, vb] = [a.error.powi(2), b.error.powi(2)];
    if va + vb == 0.0 {
        return if difference > 0.0 { 0.0 } else { 1.0 };
    }
    // Welch & Satterthwaite; an exact value has no part in it
    let part =
        |variance: f64, freedom: f64| if variance == 0.0 { 0.0 } else { variance * variance / freedom };
    let freedom = (va + vb).powi(2) / (part(va, a.freedom) + part(vb, b.freedom));
    let t = difference / (va + vb).sqrt();
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |student| student.sf(t))
}

/// Blocks that a series is cut into, at most.
pub(super) const BLOCKS: usize = 10;

/// A series of `len` values in `count` blocks, equal to within a value.
pub(super) fn blocks(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).map(move |block| block * len / count..(block + 1) * len / count)
}

/// The mean of a series whose values depend on their neighbours: its error is that of the means of up to [`BLOCKS`] blocks.
pub(super) fn mean_of_blocks(values: &[f64]) -> Option<Mean> {
    let count = values.len().min(BLOCKS);
    if count < 2 {
        return None;
    }
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let means: Vec<f64> = blocks(values.len(), count).map(|block| mean(&values[block])).collect();
    let n = count as f64;
    let middle = mean(&means);
    let variance = means.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / (n - 1.0);
    Some(Mean { value: mean(values), error: (variance / n).sqrt(), freedom: n - 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }

    #[test]
    fn shares_have_the_textbooks_bounds() {
        // 1 - 0.05^(1/40): the rule of three's exact form
        close(share_bounds(0, 40)[1], 0.072158);
        assert_eq!(share_bounds(0, 40)[0].to_bits(), 0);
        assert_eq!(share_bounds(40, 40)[1].to_bits(), 1f64.to_bits());
        // one of two: P(at least 1) = 1 - (1-p)^2 and P(at most 1) = 1 - p^2 are 5%
        close(share_bounds(1, 2)[0], 1.0 - 0.95f64.sqrt());
        close(share_bounds(1, 2)[1], 0.95f64.sqrt());
        close(bonferroni(1), 1.95996);
    }

    #[test]
    fn means_that_rise_are_told_from_those_that_fall() {
        let mean = |value| Mean { value, error: 0.1, freedom: 49.0 };
        assert_eq!(rising(&[mean(1.0), mean(2.0), mean(3.0)]).0, Verdict::Holds);
        assert_eq!(rising(&[mean(1.0), mean(1.1), mean(3.0)]).0, Verdict::Undecided);
        assert_eq!(rising(&[mean(1.0), mean(0.0), mean(3.0)]).0, Verdict::DoesNotHold);
        assert_eq!(rising(&[mean(1.0)]).0, Verdict::NotMeasured);
        let exact = |value| Mean { value, error: 0.0, freedom: 0.0 };
        assert_eq!(rising(&[mean(1.0), exact(2.0)]).0, Verdict::Holds);
        assert_eq!(rising(&[exact(2.0), exact(1.0)]).0, Verdict::DoesNotHold);
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
