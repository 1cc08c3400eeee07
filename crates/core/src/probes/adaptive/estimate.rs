//! The curve and its errors, as far as the chunks seen tell.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::curve::Curve;
use super::sample::{Estimate, Sample};
use crate::probes::interpolation::Segment;

/// A point is evaluated on more chunks until the error of its own remainder is below this fraction of that of the parabola.
const SMALL: f64 = 0.5;

/// The curve as far as the chunks seen tell. Errors are standard errors, widened so that two of them cover 95% although few
/// chunks stand behind them; they are 0 where all chunks were seen.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveEstimate {
    /// Estimates of the mean losses: at an interior α the parabola through the ends and the middle and the mean distance from it.
    pub segment: Segment,
    /// Of the lowest loss.
    pub min_loss_error: f64,
    /// Of the valley's depth.
    pub depth_error: f64,
    /// Of the barrier's height.
    pub height_error: f64,
    /// Degrees of freedom behind these errors; infinite where all chunks were seen.
    pub degrees_of_freedom: f64,
    /// The least and the largest α whose loss is not surely (two standard errors) above the lowest.
    pub min_alpha_interval: [f64; 2],
}

/// What is kept of a valley floor for the difference from the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Floor {
    /// The chunks' losses there on their parabolas.
    chunks: Vec<f64>,
    /// Variance of the error of the mean distance from the parabola.
    remainder_var: f64,
}

impl Floor {
    pub(super) fn of(curve: &Curve, point: usize) -> Self {
        Self { chunks: curve.of_chunks().parabola(point), remainder_var: remainder(curve, point).var }
    }

    /// The standard error of `next` less this one, which share the chunks that both saw: means of n and n' of N chunks drawn one
    /// after the other have the covariance c (1 / max(n, n') - 1/N), where c is that of the chunks. `None` without chunks.
    pub(super) fn error_of_move(&self, next: &Self, total: usize) -> Option<f64> {
        let [a, b] = [self, next].map(|floor| floor.chunks.len());
        let (few, many) = (a.min(b), a.max(b));
        if few < 2 {
            return None;
        }
        let [before, after] = [self, next].map(|floor| Sample::of(&floor.chunks, total).estimate());
        let common = self.chunks.iter().zip(&next.chunks);
        let mean = |values: &[f64]| values[..few].iter().sum::<f64>() / few as f64;
        let (m, n) = (mean(&self.chunks), mean(&next.chunks));
        let covariance = common.map(|(a, b)| (a - m) * (b - n)).sum::<f64>() / (few as f64 - 1.0);
        let shared = covariance * (1.0 / many as f64 - 1.0 / total as f64);
        let var = (before.var + after.var - 2.0 * shared).max(0.0) + self.remainder_var + next.remainder_var;
        Some(widened(Estimate { value: 0.0, var, freedom: few as f64 - 1.0 }))
    }

    pub(super) fn numbers(&self) -> Vec<f64> {
        [&[self.remainder_var], &self.chunks[..]].concat()
    }

    pub(super) fn from_numbers(numbers: &[f64]) -> Self {
        numbers.split_first().map_or_else(Self::default, |(&remainder_var, chunks)| Self {
            chunks: chunks.to_vec(),
            remainder_var,
        })
    }
}

/// The mean distance from the parabola at `point`.
fn remainder(curve: &Curve, point: usize) -> Estimate {
    if curve.grid.is_on_parabola(point) {
        return Estimate::EXACT_ZERO;
    }
    Sample::of(&curve.of_chunks().remainders(point), curve.total()).estimate()
}

/// The mean loss at `point`.
pub(super) fn loss(curve: &Curve, point: usize) -> f64 {
    if curve.is_complete(point) && curve.parabola_is_complete() {
        return curve.exact(point);
    }
    let parabola = curve.of_chunks().parabola(point);
    parabola.iter().sum::<f64>() / parabola.len() as f64 + remainder(curve, point).value
}

/// A combination of each chunk's losses on its parabola.
fn values_of(curve: &Curve, terms: &[(usize, f64)]) -> Vec<f64> {
    let mut values = vec![0.0; curve.seen_by_parabola()];
    for &(point, factor) in terms {
        let parabola = curve.of_chunks().parabola(point);
        values.iter_mut().zip(parabola).for_each(|(value, loss)| *value += factor * loss);
    }
    values
}

/// The same combination of mean losses.
fn combination(curve: &Curve, terms: &[(usize, f64)]) -> Estimate {
    let parabola = Sample::of(&values_of(curve, terms), curve.total()).estimate();
    terms.iter().fold(parabola, |sum, &(point, factor)| sum.plus(remainder(curve, point).times(factor)))
}

/// A standard error, widened so that two of them cover what two cover of a normal distribution.
fn widened(estimate: Estimate) -> f64 {
    if estimate.var == 0.0 {
        return 0.0;
    }
    // P(|z| < 2) of the normal distribution
    const TWO_SIDED: f64 = 0.977_249_868_051_820_8;
    let quantile =
        StudentsT::new(0.0, 1.0, estimate.freedom.min(1e6)).map_or(f64::NAN, |t| t.inverse_cdf(TWO_SIDED));
    estimate.var.sqrt() * quantile / 2.0
}

/// The points that may be the lowest and whose own remainders are not known well enough for that choice.
pub(super) fn needs_more(curve: &Curve) -> Vec<usize> {
    let (last, most) = (curve.grid.last(), curve.seen_by_parabola());
    let Some(segment) = Segment::new((0..=last).map(|point| loss(curve, point)).collect()) else {
        return vec![];
    };
    let lowest = segment.min_index();
    let depth = depth_terms(last, lowest);
    let parabola = Sample::of(&values_of(curve, &depth), curve.total()).estimate().var.sqrt();
    let is_wanting = |&point: &usize| {
        !curve.grid.is_on_parabola(point)
            && curve.seen(point) < most
            && remainder(curve, point).var.sqrt() > SMALL * parabola
            && may_be_lowest(curve, point, lowest)
    };
    (1..last).filter(is_wanting).collect()
}

/// Whether the loss at `point` is not surely, by two standard errors, above that at the point that seems lowest.
fn may_be_lowest(curve: &Curve, point: usize, lowest: usize) -> bool {
    let apart = combination(curve, &[(point, 1.0), (lowest, -1.0)]);
    point == lowest || apart.value <= 2.0 * widened(apart)
}

fn depth_terms(last: usize, lowest: usize) -> [(usize, f64); 3] {
    [(0, 0.5), (last, 0.5), (lowest, -1.0)]
}

impl CurveEstimate {
    /// The estimate from the chunks known.
    pub(super) fn new(curve: &Curve) -> Self {
        let last = curve.grid.last();
        let losses = (0..=last).map(|point| loss(curve, point)).collect();
        let segment = Segment::new(losses).expect("a segment has an interior");
        let (lowest, highest) = (segment.min_index(), segment.highest_interior());
        let higher_end = if segment.start_loss() > segment.end_loss() { 0 } else { last };
        let error = |terms: &[(usize, f64)]| widened(combination(curve, terms));
        let candidates: Vec<usize> =
            (0..=last).filter(|&point| may_be_lowest(curve, point, lowest)).collect();
        let alpha = |point: Option<&usize>| curve.grid.alphas[*point.unwrap_or(&lowest)];
        let floor = combination(curve, &[(lowest, 1.0)]);
        Self {
            min_loss_error: widened(floor),
            depth_error: error(&depth_terms(last, lowest)),
            height_error: error(&[(highest, 1.0), (higher_end, -1.0)]),
            degrees_of_freedom: if floor.var > 0.0 { floor.freedom } else { f64::INFINITY },
            min_alpha_interval: [alpha(candidates.first()), alpha(candidates.last())],
            segment,
        }
    }
}
