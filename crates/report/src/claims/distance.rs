//! "The distance from the initial point grows more slowly at larger batch sizes" (Hoffer et al., 2017).

use super::claim::{Claim, Exhibit};
use super::trend::falls_with_batch_size;
use crate::curves::StepValue;
use crate::distance::{distances, log_slope};
use crate::statistics::{BLOCKS, Mean, blocks};

/// Over the updates that all runs have, b of distance = a + b ln t falls from each batch size to the next larger.
pub(super) fn slower_growth(exhibit: &Exhibit<'_>) -> Claim {
    let claim = "the distance from the initial point grows more slowly at larger batch sizes";
    falls_with_batch_size(claim, exhibit, distances, growth)
}

/// b and its error from leaving out each tenth of the updates in turn (jackknife).
fn growth(distances: &[StepValue]) -> Option<Mean> {
    let value = log_slope(distances)?;
    let without = |block: std::ops::Range<usize>| {
        log_slope(&[&distances[..block.start], &distances[block.end..]].concat())
    };
    let slopes: Vec<f64> = blocks(distances.len(), BLOCKS).map(without).collect::<Option<_>>()?;
    let n = BLOCKS as f64;
    let mean = slopes.iter().sum::<f64>() / n;
    let variance = slopes.iter().map(|slope| (slope - mean).powi(2)).sum::<f64>() * (n - 1.0) / n;
    Some(Mean { value, error: variance.sqrt(), freedom: n - 1.0 })
}
