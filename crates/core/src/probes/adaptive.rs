//! The verdict of [`Interpolation`](super::interpolation::Interpolation) on as few chunks as it takes.
//!
//! Chunks are drawn without replacement in growing rounds. With l_i(α) the loss of chunk i, an interior point is
//! surely no barrier as soon as the mean of d_i(α) = l_i(α) - (1-α) l_i(0) - α l_i(1) is surely below 0: then L(α) lies
//! below the chord and so below the higher end, and the noise that is linear along the step cancels. It is none either if
//! it lies surely below one end, and it is a barrier if it lies surely above both.
//!
//! The curve is nearly a parabola, so the middle point serves as a control variate: d(α) = 4α(1-α) d(½) + r(α), where the
//! remainder r spreads so little from chunk to chunk that a few chunks bound it. Only the ends and the middle see many.
//!
//! "Surely" is but for the error rate, by bounds of `sequential`. If a point is a barrier, the verdict
//! "none" takes that one of its own bounds fails, whatever the other points do: the bounds on d(½), r, d, and the distances
//! from both ends share the error rate, each evenly over the looks. If no point is one, the verdict "barrier" takes that
//! some point's lower bound against the higher end fails: interior points and looks share the error rate evenly.

use std::ops::Range;

use rand::seq::SliceRandom;

use super::interpolation::{SamplesOf, Segment, SegmentEnd, UpdateLine};
use super::path::PathLoss;
use super::sequential::{Sample, Tail, looks};
use crate::{CoreError, Point, Samples, Seed, Stream};

/// How a segment is decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveConfig {
    /// Number of values of α, evenly spaced from 0 to 1, ends included; at least 3.
    pub points: usize,
    /// Chance of a wrong verdict on one segment.
    pub error_rate: f64,
}

/// What was decided, and what the chunks seen say about the curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether some interior point lies above both ends; `None` if losses that are no numbers leave it open.
    pub barrier: Option<bool>,
    /// Whether it took all chunks at the points that were still open.
    pub exact: bool,
    /// Chunks evaluated at the ends; interior points that were decided earlier saw fewer.
    pub chunks: usize,
    /// Chunks evaluated at all α together, less those known from the segment before.
    pub evaluations: usize,
    /// The curve.
    pub estimate: CurveEstimate,
}

/// The curve as far as the chunks seen tell. Errors are standard errors, 0 where all chunks were seen.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveEstimate {
    /// Estimates of the mean losses: at an interior α the chord between the ends and the mean distance from it.
    pub segment: Segment,
    /// Of the lowest loss.
    pub min_loss_error: f64,
    /// Of the valley's depth.
    pub depth_error: f64,
    /// The least and the largest α whose loss is not surely (two standard errors) above the lowest.
    pub min_alpha_interval: [f64; 2],
}

/// Decides segment after segment; the end that two of them share keeps its chunks.
pub struct Adaptive<'a> {
    config: AdaptiveConfig,
    seed: Seed,
    path: PathLoss<'a>,
    /// Scratch for θ_α.
    between: Point,
    /// The running statistics of each point of the segment, as far as they are known.
    buffers: Vec<Option<Vec<f32>>>,
    /// Where the last segment ended, with each chunk's mean loss there as far as it is known.
    pub last_end: Option<SegmentEnd>,
    bounds: Bounds,
}

/// Some chunks of a set of samples, one after the other.
struct Picked<'a> {
    samples: &'a dyn Samples,
    chunk: usize,
    chunks: &'a [usize],
}

impl Samples for Picked<'_> {
    fn len(&self) -> usize {
        self.chunks.len() * self.chunk
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        // an evaluator asks for whole chunks
        let start = self.chunks[range.start / self.chunk] * self.chunk;
        self.samples.fill(start..start + range.len(), inputs, labels);
    }
}

/// The losses of one segment, `[point][chunk]`, as far as they are known.
struct Curve {
    alphas: Vec<f64>,
    losses: Vec<Vec<Option<f64>>>,
}

impl Curve {
    fn known(&self, point: usize, chunk: usize) -> f64 {
        self.losses[point][chunk].unwrap_or(f64::NAN)
    }

    /// `value` of every chunk of `chunks`, in the order of the chunks, so that all of them sum as an exact evaluation does.
    fn sample(&self, chunks: &[usize], value: impl Fn(usize) -> f64) -> Sample {
        let mut sorted = chunks.to_vec();
        sorted.sort_unstable();
        Sample::of(sorted.iter().map(|&chunk| value(chunk)))
    }

    /// Distance from the chord at `point`.
    fn bow(&self, point: usize, chunk: usize) -> f64 {
        let (alpha, last) = (self.alphas[point], self.alphas.len() - 1);
        self.known(point, chunk) - (1.0 - alpha) * self.known(0, chunk) - alpha * self.known(last, chunk)
    }

    /// The share of the middle's distance from the chord that a parabola has at `point`.
    fn share(&self, point: usize, middle: usize) -> f64 {
        let bow = |alpha: f64| alpha * (1.0 - alpha);
        bow(self.alphas[point]) / bow(self.alphas[middle])
    }

    /// The distance from the parabola.
    fn remainder(&self, point: usize, middle: usize, chunk: usize) -> f64 {
        self.bow(point, chunk) - self.share(point, middle) * self.bow(middle, chunk)
    }

    /// The loss at `point` on the parabola through the ends and the middle.
    fn parabola(&self, point: usize, middle: usize, chunk: usize) -> f64 {
        let (alpha, last) = (self.alphas[point], self.alphas.len() - 1);
        if point == 0 || point == last {
            return self.known(point, chunk);
        }
        (1.0 - alpha) * self.known(0, chunk)
            + alpha * self.known(last, chunk)
            + self.share(point, middle) * self.bow(middle, chunk)
    }

    /// Whether `point` is a barrier, if the chunks of `part` and the middle's distance `bow` on more of them tell.
    fn verdict(
        &self,
        point: usize,
        middle: usize,
        bow: &Sample,
        part: &[usize],
        bounds: &Bounds,
    ) -> Option<bool> {
        let (last, total) = (self.alphas.len() - 1, self.losses[0].len());
        let against =
            |end: usize| self.sample(part, |chunk| self.known(point, chunk) - self.known(end, chunk));
        let ends = [against(0), against(last)];
        if ends.iter().all(|end| end.lower_bound(total, &bounds.above) > 0.0) {
            return Some(true);
        }
        let chord = self.sample(part, |chunk| self.bow(point, chunk));
        let below_end = ends.iter().any(|end| end.upper_bound(total, &bounds.end) < 0.0);
        let below_chord = chord.upper_bound(total, &bounds.bow) < 0.0;
        let by_middle = point != middle && {
            let remainder = self.sample(part, |chunk| self.remainder(point, middle, chunk));
            let bound = self.share(point, middle) * bow.upper_bound(total, &bounds.bow);
            bound + remainder.upper_bound(total, &bounds.bow) < 0.0
        };
        if below_end || below_chord || by_middle {
            return Some(false);
        }
        // all chunks seen: neither above both ends nor below one means level with the higher, which is no barrier
        (part.len() == total).then_some(false)
    }
}

/// The bounds of a segment with a number of chunks: the chances that they may fail, per look.
#[derive(Default)]
struct Bounds {
    total: usize,
    looks: Vec<usize>,
    /// Of the middle's distance from the chord, and of each other distance and remainder.
    bow: Tail,
    /// Of a distance from an end, upwards.
    end: Tail,
    /// Of a distance from an end, downwards.
    above: Tail,
}

impl Bounds {
    fn new(error_rate: f64, interior: usize, total: usize) -> Self {
        let looks = looks(total);
        let look = error_rate / looks.len() as f64;
        let tail = |level: f64| Tail::new(level, &looks);
        let (bow, end, above) = (tail(0.3 * look), tail(0.05 * look), tail(look / interior as f64));
        Self { total, looks, bow, end, above }
    }
}

impl<'a> Adaptive<'a> {
    /// A probe that evaluates with `path`, whose chunk divides the number of samples, and draws chunks by `seed`.
    pub fn new(config: AdaptiveConfig, seed: Seed, path: PathLoss<'a>) -> Self {
        let (between, bounds) = (Point::default(), Bounds::default());
        Self { config, seed, path, between, buffers: vec![], last_end: None, bounds }
    }

    /// What evaluates it.
    pub const fn path(&self) -> &PathLoss<'a> {
        &self.path
    }

    /// Decides the segment along `line`. `order` names the order in which chunks are drawn: segments of one order share the
    /// chunks of their common endpoints.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network, the chunk does not divide the samples, or the device fails.
    ///
    /// # Panics
    /// If the configuration has fewer than 3 points.
    pub fn measure(
        &mut self,
        line: UpdateLine<'_>,
        order: u64,
        samples: &SamplesOf<'_>,
    ) -> Result<Decision, CoreError> {
        let (AdaptiveConfig { points, error_rate }, chunk) = (self.config, self.path.chunk());
        assert!(points >= 3, "a segment has an interior");
        let samples = samples(0);
        if chunk == 0 || !samples.len().is_multiple_of(chunk) {
            let what = "an adaptive evaluation, which needs whole chunks,";
            return Err(CoreError::Length {
                what,
                found: samples.len(),
                expected: samples.len() / chunk.max(1) * chunk,
            });
        }
        let total = samples.len() / chunk;
        let mut drawn: Vec<usize> = (0..total).collect();
        drawn.shuffle(&mut self.seed.rng(Stream::Interpolation, [order]));
        let last = points - 1;
        self.buffers = vec![None; points];
        let mut curve = Curve {
            alphas: (0..points).map(|i| i as f64 / last as f64).collect(),
            losses: vec![vec![None; total]; points],
        };
        let known = self.last_end.take().filter(|end| end.step == line.step && end.losses.len() == total);
        if let Some(SegmentEnd { losses, .. }) = known {
            curve.losses[0] = losses.into_iter().map(|loss| (!loss.is_nan()).then_some(loss)).collect();
        }
        if self.bounds.total != total {
            self.bounds = Bounds::new(error_rate, points - 2, total);
        }
        let bounds = std::mem::take(&mut self.bounds);
        let middle = last / 2;
        let mut open: Vec<usize> = (1..last).collect();
        // chunks seen by each point
        let mut seen = vec![0; points];
        let (mut evaluations, mut barrier, mut chunks) = (0, false, 0);
        for &look in &bounds.looks {
            chunks = look;
            for point in [0, last, middle] {
                seen[point] = look;
                evaluations += self.fill(point, line, &mut curve, &*samples, &drawn[..look])?;
            }
            let bow = curve.sample(&drawn[..look], |chunk| curve.bow(middle, chunk));
            let bow_is_below = bow.upper_bound(total, &bounds.bow) < 0.0;
            let mut still = vec![];
            for &point in &open {
                // the others see few chunks, and more only as the verdict takes it; all of them where there is no valley
                let closely = point == middle || bow.mean >= 0.0;
                let first = if closely { look } else { seen[point].max(bounds.looks[0]) };
                // right after the middle's bound holds it leaves little room: a larger look at the middle costs less than
                // many chunks of all the others
                let most = if closely || look == total { look } else { first.max(look / 4) };
                let mut verdict = None;
                for &part in bounds.looks.iter().filter(|&part| (first..=most).contains(part)) {
                    seen[point] = part;
                    evaluations += self.fill(point, line, &mut curve, &*samples, &drawn[..part])?;
                    verdict = curve.verdict(point, middle, &bow, &drawn[..part], &bounds);
                    // while the middle's own bound does not hold, more chunks of this point would not help
                    if verdict.is_some() || !(bow_is_below || look == total) {
                        break;
                    }
                }
                match verdict {
                    Some(true) => barrier = true,
                    Some(false) => {}
                    None => still.push(point),
                }
            }
            open = still;
            if barrier || open.is_empty() {
                break;
            }
        }
        self.bounds = bounds;
        let losses = curve.losses[last].iter().map(|loss| loss.unwrap_or(f64::NAN)).collect();
        self.last_end = Some(SegmentEnd { step: line.step.next(), losses });
        let estimate = CurveEstimate::new(&curve, &drawn, &seen);
        // losses that are not finite leave a bound open, and all chunks are seen
        let barrier =
            if estimate.segment.is_finite() { Some(barrier) } else { estimate.segment.has_barrier() };
        Ok(Decision { barrier, exact: chunks == total, chunks, evaluations, estimate })
    }

    /// Evaluates the chunks of `part` that are not known yet at a point; returns how many those were.
    fn fill(
        &mut self,
        point: usize,
        line: UpdateLine<'_>,
        curve: &mut Curve,
        samples: &dyn Samples,
        part: &[usize],
    ) -> Result<usize, CoreError> {
        let chunk = self.path.chunk();
        let missing: Vec<usize> =
            part.iter().copied().filter(|&index| curve.losses[point][index].is_none()).collect();
        if missing.is_empty() {
            return Ok(0);
        }
        line.set_point(point, self.config.points - 1, &mut self.between);
        match &self.buffers[point] {
            Some(buffers) => self.between.buffers.clone_from(buffers),
            None => {
                self.path.restate(&mut self.between)?;
                self.buffers[point] = Some(self.between.buffers.clone());
            }
        }
        let picked = Picked { samples, chunk, chunks: &missing };
        let evaluation = self.path.evaluate_restated(&self.between, &picked)?;
        for (&index, result) in missing.iter().zip(&evaluation.chunks) {
            curve.losses[point][index] = Some(result.loss_sum / chunk as f64);
        }
        Ok(missing.len())
    }
}

impl CurveEstimate {
    /// The estimate from the chunks `drawn`, of which each point has seen so many.
    fn new(curve: &Curve, drawn: &[usize], seen: &[usize]) -> Self {
        let (last, total) = (curve.alphas.len() - 1, drawn.len());
        let middle = last / 2;
        // the parabola is known from many chunks; what it leaves of another point, from that point's own
        let parabola = |value: &dyn Fn(usize) -> f64| curve.sample(&drawn[..seen[middle]], value);
        let remainder = |point: usize| {
            let is_on_parabola = [0, middle, last].contains(&point);
            (!is_on_parabola)
                .then(|| curve.sample(&drawn[..seen[point]], |chunk| curve.remainder(point, middle, chunk)))
        };
        let loss = |point: usize| {
            let along = parabola(&|chunk| curve.parabola(point, middle, chunk)).mean;
            along + remainder(point).map_or(0.0, |rest| rest.mean)
        };
        let segment = Segment::new((0..=last).map(loss).collect()).expect("a segment has an interior");
        let lowest = segment.min_index();
        // errors add, since chunks are shared
        let error = |value: &dyn Fn(usize) -> f64| {
            let rest = remainder(lowest).map_or(0.0, |rest| rest.standard_error(total));
            parabola(value).standard_error(total) + rest
        };
        let floor = |chunk: usize| curve.parabola(lowest, middle, chunk);
        let depth = |chunk: usize| 0.5 * (curve.known(0, chunk) + curve.known(last, chunk)) - floor(chunk);
        let not_above = |&point: &usize| {
            let common = &drawn[..seen[point].min(seen[lowest])];
            let apart = curve.sample(common, |chunk| curve.known(point, chunk) - curve.known(lowest, chunk));
            point == lowest || apart.mean <= 2.0 * apart.standard_error(total)
        };
        let candidates: Vec<usize> = (0..=last).filter(not_above).collect();
        let alpha = |point: Option<&usize>| curve.alphas[*point.unwrap_or(&lowest)];
        Self {
            min_loss_error: error(&floor),
            depth_error: error(&depth),
            min_alpha_interval: [alpha(candidates.first()), alpha(candidates.last())],
            segment,
        }
    }
}

#[cfg(test)]
mod tests;
