//! Estimates of the curve and its errors from the chunks seen.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::curve::Curve;
use super::history::History;
use super::sample::{Estimate, Sample};
use super::spread::{PartSizes, part_sizes};
use crate::probes::interpolation::Segment;

/// A point is evaluated on more chunks until the error of its remainder is below this fraction of that of the parabola.
const SMALL: f64 = 0.5;

/// Number of values that the variance of the last fully seen segment counts as.
const PRIOR: f64 = 32.0;

/// The curve estimated from the chunks seen. Errors are standard errors, widened such that two of them cover 95% although they
/// are based on few chunks; they are 0 if all chunks were seen.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveEstimate {
    /// Estimates of the mean losses: at an interior α, the parabola through ends and middle plus the mean distance from it.
    pub segment: Segment,
    /// Error of the lowest loss.
    pub min_loss_error: f64,
    /// Error of the valley's depth.
    pub depth_error: f64,
    /// Error of the barrier's height.
    pub height_error: f64,
    /// The smallest number of degrees of freedom of these errors; infinite if all chunks were seen.
    pub degrees_of_freedom: f64,
    /// The smallest and the largest α whose loss is not significantly (two standard errors) above the lowest.
    pub min_alpha_interval: [f64; 2],
}

/// What is kept of a valley floor to compute the difference from the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Floor {
    /// The chunks' losses there on their parabolas.
    chunks: Vec<f64>,
    /// Variance of the error of the mean distance from the parabola.
    remainder_var: f64,
}

impl Floor {
    /// The error of `next` minus this one, which share the chunks that both saw: means of n and n' of N chunks drawn one
    /// after the other have the covariance c (1 / max(n, n') - 1/N), where c is that of the chunks. `None` without chunks.
    pub(super) fn error_of_move(&self, next: &Self, total: usize) -> Option<Estimate> {
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
        Some(Estimate { value: 0.0, var, freedom: few as f64 - 1.0 })
    }

    pub(super) fn numbers(&self) -> Vec<f64> {
        [&[self.remainder_var], &self.chunks[..]].concat()
    }

    pub(super) fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let (&remainder_var, chunks) = numbers.split_first()?;
        Some(Self { chunks: chunks.to_vec(), remainder_var })
    }
}

/// The known losses of a segment, and how much chunks vary.
pub(super) struct Known<'k> {
    curve: &'k Curve,
    history: &'k History,
    sizes: PartSizes,
}

impl<'k> Known<'k> {
    pub(super) fn new(curve: &'k Curve, history: &'k History) -> Self {
        Self { curve, history, sizes: part_sizes(curve) }
    }

    fn remainder(&self, point: usize) -> Estimate {
        let [.., bow] = self.sizes;
        self.history.mean_remainder(self.curve, point, bow)
    }

    /// The floor at `point`.
    pub(super) fn floor(&self, point: usize) -> Floor {
        Floor { chunks: self.curve.of_chunks().parabola(point), remainder_var: self.remainder(point).var }
    }

    /// The mean loss at `point`.
    pub(super) fn loss(&self, point: usize) -> f64 {
        let curve = self.curve;
        if curve.is_complete(point) && curve.parabola_is_complete() {
            return curve.exact(point);
        }
        let parabola = curve.of_chunks().parabola(point);
        parabola.iter().sum::<f64>() / parabola.len() as f64 + self.remainder(point).value
    }

    /// The interior point that seems highest.
    pub(super) fn highest(&self) -> usize {
        let grid = &self.curve.grid;
        let highest = (1..grid.last()).max_by(|&a, &b| self.loss(a).total_cmp(&self.loss(b)));
        highest.unwrap_or_else(|| grid.middle())
    }

    /// A combination of mean losses on the parabola.
    fn on_parabola(&self, terms: &[(usize, f64)]) -> Estimate {
        let curve = self.curve;
        let mut values = vec![0.0; curve.seen_by_parabola()];
        for &(point, factor) in terms {
            let parabola = curve.of_chunks().parabola(point);
            values.iter_mut().zip(parabola).for_each(|(value, loss)| *value += factor * loss);
        }
        let sample = Sample::of(&values, curve.total());
        let spread = self.history.spread.as_ref();
        match spread.map(|spread| spread.variance(terms, &curve.grid, self.sizes)) {
            Some(var) if var.is_finite() => sample.with_prior(var, PRIOR).estimate(),
            _ => sample.estimate(),
        }
    }

    /// A combination of mean losses.
    fn combination(&self, terms: &[(usize, f64)]) -> Estimate {
        let add =
            |sum: Estimate, &(point, factor): &(usize, f64)| sum.plus(self.remainder(point).times(factor));
        terms.iter().fold(self.on_parabola(terms), add)
    }

    /// Whether the loss at `point` is not significantly (two standard errors) above that at the apparently lowest point.
    fn may_be_lowest(&self, point: usize, lowest: usize) -> bool {
        let apart = self.combination(&[(point, 1.0), (lowest, -1.0)]);
        point == lowest || apart.value <= 2.0 * widened(apart)
    }

    /// The points that may be the lowest and whose remainders are not known well enough to decide.
    pub(super) fn needs_more(&self) -> Vec<usize> {
        let curve = self.curve;
        let (last, most) = (curve.grid.last(), curve.seen_by_parabola());
        let Some(segment) = Segment::new((0..=last).map(|point| self.loss(point)).collect()) else {
            return vec![];
        };
        let lowest = segment.min_index();
        let parabola = self.on_parabola(&depth_terms(last, lowest)).var.sqrt();
        let is_wanting = |&point: &usize| {
            !curve.grid.is_on_parabola(point)
                && curve.seen(point) < most
                && self.remainder(point).var.sqrt() > SMALL * parabola
                && self.may_be_lowest(point, lowest)
        };
        (1..last).filter(is_wanting).collect()
    }

    /// The error of a combination that is the largest at the lowest of `candidates`, which seems to be `lowest`.
    fn error_of_lowest<const N: usize>(
        &self,
        candidates: &[usize],
        lowest: usize,
        terms: impl Fn(usize) -> [(usize, f64); N],
    ) -> f64 {
        let value =
            |point: usize| terms(point).iter().map(|&(point, factor)| factor * self.loss(point)).sum::<f64>();
        let greatest = value(lowest);
        let above =
            |&point: &usize| Estimate { value: value(point) - greatest, ..self.combination(&terms(point)) };
        error_of_greatest(&candidates.iter().map(above).collect::<Vec<Estimate>>())
    }

    /// The curve.
    pub(super) fn estimate(&self) -> CurveEstimate {
        let curve = self.curve;
        let last = curve.grid.last();
        let losses = (0..=last).map(|point| self.loss(point)).collect();
        let segment = Segment::new(losses).expect("a segment has an interior");
        let (lowest, highest) = (segment.min_index(), segment.highest_interior());
        let higher_end = if segment.start_loss() > segment.end_loss() { 0 } else { last };
        let candidates: Vec<usize> = (0..=last).filter(|&point| self.may_be_lowest(point, lowest)).collect();
        let alpha = |point: Option<&usize>| curve.grid.alphas[*point.unwrap_or(&lowest)];
        let floor = self.combination(&[(lowest, 1.0)]);
        let depth = self.combination(&depth_terms(last, lowest));
        let height = self.combination(&[(highest, 1.0), (higher_end, -1.0)]);
        CurveEstimate {
            min_loss_error: self.error_of_lowest(&candidates, lowest, |point| [(point, -1.0)]),
            depth_error: self.error_of_lowest(&candidates, lowest, |point| depth_terms(last, point)),
            height_error: widened(height),
            degrees_of_freedom: fewest(&[floor, depth, height]),
            min_alpha_interval: [alpha(candidates.first()), alpha(candidates.last())],
            segment,
        }
    }
}

/// The fewest degrees of freedom behind errors that are not 0.
pub(super) fn fewest(errors: &[Estimate]) -> f64 {
    let inexact = errors.iter().filter(|error| error.var > 0.0);
    inexact.map(|error| error.freedom).fold(f64::INFINITY, f64::min)
}

fn depth_terms(last: usize, lowest: usize) -> [(usize, f64); 3] {
    [(0, 0.5), (last, 0.5), (lowest, -1.0)]
}

/// Half the reach that a value exceeds as rarely as a normal distribution does two standard errors.
pub(super) fn widened(estimate: Estimate) -> f64 {
    error_of_greatest(&[Estimate { value: 0.0, ..estimate }])
}

/// Half the reach around 0 outside of which the greatest of several numbers lies as rarely as a normal distribution lies
/// beyond two standard errors. The greatest is above it as soon as one of them is, and below it only if all of them are; they
/// are taken to vary together, so that the chance is that of the one most likely to be above, and of the one least likely to be
/// below.
fn error_of_greatest(numbers: &[Estimate]) -> f64 {
    // P(|z| > 2) of the normal distribution
    const OUTSIDE: f64 = 0.045_500_263_896_358_4;
    let student = |number: &Estimate| StudentsT::new(0.0, 1.0, number.freedom.min(1e6)).ok();
    let Some(students) = numbers.iter().map(student).collect::<Option<Vec<StudentsT>>>() else {
        return f64::NAN;
    };
    let above = |bound: f64| {
        let chance = |(number, student): (&Estimate, &StudentsT)| match number.var.sqrt() {
            0.0 => f64::from(u8::from(number.value > bound)),
            error => student.sf((bound - number.value) / error),
        };
        numbers.iter().zip(&students).map(chance).fold(0.0, f64::max)
    };
    let outside = |reach: f64| above(reach) + 1.0 - above(-reach);
    let mut high = numbers.iter().map(|number| number.value.abs() + number.var.sqrt()).fold(0.0, f64::max);
    if high == 0.0 || !high.is_finite() {
        return high;
    }
    while outside(high) > OUTSIDE {
        high *= 2.0;
    }
    let (mut low, resolution) = (0.0, 1e-5 * high);
    while high - low > resolution {
        let middle = 0.5 * (low + high);
        if outside(middle) > OUTSIDE { low = middle } else { high = middle }
    }
    0.25 * (low + high)
}
