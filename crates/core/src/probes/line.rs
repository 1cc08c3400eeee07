//! Losses and barriers along a line between two points.

use super::path::PathLoss;
use crate::{CoreError, Point, Samples};

/// Losses and errors along a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineLosses {
    /// Positions, evenly spaced from 0 to 1.
    pub alphas: Vec<f64>,
    /// Mean loss at each.
    pub losses: Vec<f64>,
    /// Fraction of the samples misclassified at each.
    pub errors: Vec<f64>,
}

impl LineLosses {
    /// At `points` positions from `from` to `to`, at least two.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network, a label is out of range or the device fails.
    pub fn evaluate(
        path: &mut PathLoss<'_>,
        [from, to]: [&Point; 2],
        points: usize,
        samples: &dyn Samples,
    ) -> Result<Self, CoreError> {
        let (mut line, mut between) = (Self::default(), Point::default());
        for index in 0..points {
            let alpha = index as f64 / (points - 1) as f64;
            between.set_between(from, to, alpha);
            let evaluation = path.evaluate(&mut between, samples)?;
            line.alphas.push(alpha);
            line.losses.push(evaluation.mean_loss());
            line.errors.push(1.0 - evaluation.accuracy());
        }
        Ok(line)
    }
}

/// The largest value minus the mean of the first and the last (Frankle et al., 2020), in the unit of the values. NaN if one
/// of them is.
///
/// # Panics
/// If there are no values.
pub fn barrier_height(values: &[f64]) -> f64 {
    greatest(values) - 0.5 * (values[0] + values[values.len() - 1])
}

/// The largest value, NaN if one of them is.
pub(super) fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, |top, x| if x > top || x.is_nan() { x } else { top })
}

/// Whether no value lies above the previous one; `None` if NaN values leave it undecided.
pub fn is_monotone(values: &[f64]) -> Option<bool> {
    let rises = values.windows(2).any(|pair| pair[1] > pair[0]);
    (rises || !values.iter().any(|value| value.is_nan())).then_some(!rises)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_is_measured_from_the_mean_of_the_ends() {
        assert_eq!(barrier_height(&[1.0, 4.0, 2.0]), 2.5);
        assert_eq!(barrier_height(&[3.0, 2.0, 1.0]), 1.0);
    }

    #[test]
    fn what_is_no_number_leaves_open_what_it_might_decide() {
        assert!(barrier_height(&[1.0, f64::NAN, 2.0]).is_nan());
        assert!(barrier_height(&[1.0, f64::NAN, 0.5, 2.0]).is_nan());
        assert_eq!(is_monotone(&[3.0, 2.0, 2.0]), Some(true));
        assert_eq!(is_monotone(&[3.0, f64::NAN, 2.0]), None);
        assert_eq!(is_monotone(&[3.0, f64::NAN, 2.0, 2.5]), Some(false));
    }
}
