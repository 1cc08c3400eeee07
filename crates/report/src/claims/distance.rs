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

/// b and its error from leaving out each tenth of the updates in turn (jackknife), or each update if there are fewer than ten;
/// `None` for fewer than three.
fn growth(distances: &[StepValue]) -> Option<Mean> {
    let value = log_slope(distances)?;
    let without = |block: std::ops::Range<usize>| {
        log_slope(&[&distances[..block.start], &distances[block.end..]].concat())
    };
    let count = distances.len().min(BLOCKS);
    if count < 3 {
        return None;
    }
    let slopes: Vec<f64> = blocks(distances.len(), count).map(without).collect::<Option<_>>()?;
    let n = count as f64;
    let mean = slopes.iter().sum::<f64>() / n;
    let variance = slopes.iter().map(|slope| (slope - mean).powi(2)).sum::<f64>() * (n - 1.0) / n;
    Some(Mean { value, error: variance.sqrt(), freedom: n - 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_distances_have_the_error_of_leaving_each_out() {
        let distance = |(step, value)| StepValue { step, value };
        let four: Vec<StepValue> = [(1, 0.0), (2, 1.0), (4, 1.5), (8, 3.5)].map(distance).into();
        let slopes: Vec<f64> = (0..4)
            .map(|index| {
                let mut others = four.clone();
                others.remove(index);
                log_slope(&others).unwrap()
            })
            .collect();
        let mean = slopes.iter().sum::<f64>() / 4.0;
        let squared = slopes.iter().map(|slope| (slope - mean).powi(2)).sum::<f64>() * 3.0 / 4.0;
        let found = growth(&four).unwrap();
        assert!((found.error - squared.sqrt()).abs() < 1e-12 && found.freedom.to_string() == "3");
        assert_eq!(growth(&four[..2]), None);
    }
}
