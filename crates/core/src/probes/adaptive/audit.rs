//! An early verdict checked on all samples.

use super::curve::Curve;
use super::estimate::loss;
use super::{Adaptive, Work};
use crate::CoreError;

/// An early verdict checked on all samples, at both ends, the middle and the point where it was closest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Whether one of these interior points lies above both ends; `None` if losses that are no numbers leave it open.
    pub barrier: Option<bool>,
    /// Chunks evaluated for it.
    pub evaluations: usize,
}

impl Adaptive<'_> {
    pub(super) fn audit(&mut self, work: &mut Work<'_>) -> Result<Audit, CoreError> {
        let (before, total) = (work.evaluations, work.curve.total());
        let (last, middle, closest) = (work.curve.last(), work.curve.middle(), closest(&work.curve));
        for point in [0, last, middle, closest] {
            self.fill(point, total, work)?;
        }
        let exact = |point: usize| work.curve.exact(point);
        let losses = [exact(0), exact(last), exact(middle), exact(closest)];
        let higher = losses[0].max(losses[1]);
        let barrier = losses[2..].iter().any(|&loss| loss > higher);
        let is_open = losses.iter().any(|loss| loss.is_nan());
        Ok(Audit {
            barrier: (barrier || !is_open).then_some(barrier),
            evaluations: work.evaluations - before,
        })
    }
}

/// The interior point that seems highest.
fn closest(curve: &Curve) -> usize {
    (1..curve.last())
        .max_by(|&a, &b| loss(curve, a).total_cmp(&loss(curve, b)))
        .unwrap_or_else(|| curve.middle())
}
