//! How much the losses of chunks vary, measured on a segment of which all chunks were seen.

use super::curve::{Curve, Grid};
use super::sample::{from_mean, median_size};

/// The numbers that define a unit's parabola: its loss at the start, the difference between the ends, and its bow.
const PARTS: usize = 3;

/// The covariance of these numbers among all chunks of a segment, in units of their sizes on that segment.
///
/// If few samples dominate the losses, the few chunks of a look usually show less variance than all chunks together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spread([[f64; PARTS]; PARTS]);

/// Sizes of the three numbers.
pub(super) type PartSizes = [f64; PARTS];

/// The medians of the chunks' losses at the start, of their absolute differences between the ends from the mean, and of their
/// absolute bows.
pub(super) fn part_sizes(curve: &Curve) -> PartSizes {
    let [starts, slopes, bows] = parts(curve);
    [median_size(&starts), median_size(&from_mean(slopes)), median_size(&bows)]
}

/// Of each of the three numbers, the values of all chunks seen.
fn parts(curve: &Curve) -> [Vec<f64>; PARTS] {
    let chunks = curve.of_chunks();
    let bows = chunks.bows();
    [curve.chunks[0][..bows.len()].to_vec(), chunks.slopes(), bows]
}

impl Spread {
    /// Numbers of [`Spread::numbers`].
    pub(super) const LEN: usize = PARTS * PARTS;

    /// `None` if a size is 0 or a loss is not finite.
    pub(super) fn of(curve: &Curve) -> Option<Self> {
        let sizes = part_sizes(curve);
        let parts = parts(curve).map(from_mean);
        let covariance = |a: usize, b: usize| {
            let products = parts[a].iter().zip(&parts[b]).map(|(a, b)| a * b);
            products.sum::<f64>() / (parts[a].len() as f64 - 1.0) / (sizes[a] * sizes[b])
        };
        let all: [[f64; PARTS]; PARTS] = std::array::from_fn(|a| std::array::from_fn(|b| covariance(a, b)));
        all.iter().flatten().all(|value| value.is_finite()).then_some(Self(all))
    }

    /// The variance of Σ factor · loss(point) over the chunks of a segment whose numbers have the given sizes; the losses are
    /// those on the parabola.
    pub(super) fn variance(&self, terms: &[(usize, f64)], grid: &Grid, sizes: PartSizes) -> f64 {
        let mut weights = [0.0; PARTS];
        for &(point, factor) in terms {
            let parabola = [1.0, grid.alphas[point], grid.share(point)];
            weights.iter_mut().zip(parabola).for_each(|(weight, part)| *weight += factor * part);
        }
        let scaled: [f64; PARTS] = std::array::from_fn(|part| weights[part] * sizes[part]);
        let row = |a: usize| (0..PARTS).map(|b| self.0[a][b] * scaled[b]).sum::<f64>();
        (0..PARTS).map(|a| scaled[a] * row(a)).sum::<f64>().max(0.0)
    }

    pub(super) fn numbers(&self) -> Vec<f64> {
        self.0.as_flattened().to_vec()
    }

    /// From its numbers; `None` if there are none.
    pub(super) fn from_numbers(numbers: &[f64]) -> Option<Self> {
        (numbers.len() == Self::LEN)
            .then(|| Self(std::array::from_fn(|a| std::array::from_fn(|b| numbers[a * PARTS + b]))))
    }
}
