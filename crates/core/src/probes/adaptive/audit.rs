//! An early verdict checked on all samples.

use super::curve::Curve;
use crate::probes::line::greatest;

/// An early verdict checked on all samples, at both ends, the middle and the point where it was closest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Whether one of these interior points lies above both ends; `None` if NaN losses leave it undecided.
    pub barrier: Option<bool>,
    /// Whether it was randomly selected.
    pub random: bool,
    /// Number of chunks evaluated for it.
    pub evaluations: usize,
}

impl Audit {
    /// The verdict of a curve with all chunks known at both ends and at `points`.
    pub(super) fn new(curve: &Curve, points: &[usize], random: bool, evaluations: usize) -> Self {
        let higher = greatest(&[curve.exact(0), curve.exact(curve.grid.last())]);
        let losses: Vec<f64> = points.iter().map(|&point| curve.exact(point)).collect();
        let barrier = losses.iter().any(|&loss| loss > higher);
        let is_open = higher.is_nan() || losses.iter().any(|loss| loss.is_nan());
        Self { barrier: (barrier || !is_open).then_some(barrier), random, evaluations }
    }
}
