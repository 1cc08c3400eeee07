//! The verdict of [`Interpolation`](super::Interpolation) on as few chunks as it takes.
//!
//! Chunks are drawn without replacement in growing rounds. With l_i(α) the loss of chunk i, an interior point is
//! surely no barrier as soon as the mean of d_i(α) = l_i(α) - (1-α) l_i(0) - α l_i(1) is surely below 0: then L(α) lies
//! below the chord and so below the higher end, and the noise that is linear along the step cancels. It is none either if
//! it lies surely below one end, and it is a barrier if it lies surely above both.
//!
//! The curve is nearly a parabola, so the middle point serves as a control variate: d(α) = 4α(1-α) d(½) + r(α), where the
//! remainder r spreads so little from chunk to chunk that a few chunks bound it. Only the ends and the middle see many.
//!
//! "Surely" is but for the error rate, by bounds of [`sequential`](super::sequential). If a point is a barrier, the verdict
//! "none" takes that one of its own bounds fails, whatever the other points do: the bounds on d(½), r, d, and the distances
//! from both ends share the error rate, each evenly over the looks. If no point is one, the verdict "barrier" takes that
//! some point's lower bound against the higher end fails: interior points and looks share the error rate evenly.

use std::ops::Range;

use rand::seq::SliceRandom;

use super::interpolation::{SamplesOf, UpdateLine, blend};
use super::moments::Estimate;
use super::sequential::{Sample, Tail, looks};
use crate::{BatchNormMode, CoreError, Evaluator, Point, Samples, Seed, Step, Stream};

/// How a segment is decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveConfig {
    /// Number of values of α, evenly spaced from 0 to 1, ends included; at least 3.
    pub points: usize,
    /// Samples per evaluation chunk: it divides their number.
    pub chunk: usize,
    /// Statistics of batch norm.
    pub batch_norm: BatchNormMode,
    /// Chance of a wrong verdict on one segment.
    pub error_rate: f64,
}

/// How the decision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No interior point is a barrier, on a part of the chunks.
    NoBarrier,
    /// Some interior point is, on a part of the chunks.
    Barrier,
    /// All chunks were evaluated at the points that were still open.
    Exact,
}

/// What was decided, and what the chunks seen say about the curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether some interior point lies above both ends.
    pub barrier: bool,
    /// How it ended.
    pub ended: Ended,
    /// Chunks evaluated at the ends; interior points that were decided earlier saw fewer.
    pub chunks: usize,
    /// Chunks evaluated at all α together, less those known from the segment before.
    pub evaluations: usize,
    /// The values of α.
    pub alphas: Vec<f64>,
    /// Estimates of the mean losses: at an interior α the chord between the ends and the mean distance from it.
    pub losses: Vec<f64>,
    /// The lowest loss; its error is 0 where all chunks were seen.
    pub min_loss: Estimate,
    /// Mean of the endpoints minus the lowest loss.
    pub depth: Estimate,
    /// The least and the largest α whose loss is not surely (two standard errors) above the lowest.
    pub min_alpha_interval: [f64; 2],
}

/// Decides segment after segment; the end that two of them share keeps its chunks.
pub struct Adaptive {
    config: AdaptiveConfig,
    seed: Seed,
    evaluator: Box<dyn Evaluator>,
    /// Scratch for θ_α.
    between: Point,
    /// The update after which the last segment ended, and each chunk's mean loss there as far as it is known.
    last_end: Option<(Step, Vec<Option<f64>>)>,
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

    /// What is left of the distance from the chord.
    fn remainder(&self, point: usize, middle: usize, chunk: usize) -> f64 {
        self.bow(point, chunk) - self.share(point, middle) * self.bow(middle, chunk)
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

impl Adaptive {
    /// A probe that evaluates with `evaluator` and draws chunks by `seed`.
    pub fn new(config: AdaptiveConfig, seed: Seed, evaluator: Box<dyn Evaluator>) -> Self {
        let between = Point { params: vec![], buffers: vec![] };
        Self { config, seed, evaluator, between, last_end: None, bounds: Bounds::default() }
    }

    /// The update after which the last segment ended, and each chunk's mean loss there as far as it is known.
    pub fn last_end(&self) -> Option<(Step, &[Option<f64>])> {
        self.last_end.as_ref().map(|(step, losses)| (*step, losses.as_slice()))
    }

    /// Takes back what [`Adaptive::last_end`] gave.
    pub fn set_last_end(&mut self, end: Option<(Step, Vec<Option<f64>>)>) {
        self.last_end = end;
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
        let AdaptiveConfig { points, chunk, error_rate, .. } = self.config;
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
        let mut curve = Curve {
            alphas: (0..points).map(|i| i as f64 / last as f64).collect(),
            losses: vec![vec![None; total]; points],
        };
        if let Some((end, known)) = self.last_end.take()
            && end == line.step
            && known.len() == total
        {
            curve.losses[0] = known;
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
        let ended = match (chunks == total, barrier) {
            (true, _) => Ended::Exact,
            (false, true) => Ended::Barrier,
            (false, false) => Ended::NoBarrier,
        };
        self.bounds = bounds;
        self.last_end = Some((line.step.next(), curve.losses[last].clone()));
        Ok(describe(
            &curve,
            &drawn,
            &seen,
            Decision { barrier, ended, chunks, evaluations, ..Decision::default() },
        ))
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
        let AdaptiveConfig { points, chunk, batch_norm, .. } = self.config;
        let UpdateLine { from, to, .. } = line;
        let missing: Vec<usize> =
            part.iter().copied().filter(|&index| curve.losses[point][index].is_none()).collect();
        if missing.is_empty() {
            return Ok(0);
        }
        let at = if point == 0 {
            from
        } else if point == points - 1 {
            to
        } else {
            blend(&from.params, &to.params, curve.alphas[point], &mut self.between.params);
            blend(&from.buffers, &to.buffers, curve.alphas[point], &mut self.between.buffers);
            &self.between
        };
        let picked = Picked { samples, chunk, chunks: &missing };
        let evaluation = self.evaluator.evaluate(at, &picked, chunk, batch_norm)?;
        for (&index, result) in missing.iter().zip(&evaluation.chunks) {
            curve.losses[point][index] = Some(result.loss_sum / chunk as f64);
        }
        Ok(missing.len())
    }
}

impl Default for Decision {
    fn default() -> Self {
        let none = Estimate { value: 0.0, error: 0.0 };
        Self {
            barrier: false,
            ended: Ended::Exact,
            chunks: 0,
            evaluations: 0,
            alphas: vec![],
            losses: vec![],
            min_loss: none,
            depth: none,
            min_alpha_interval: [0.0, 1.0],
        }
    }
}

/// Adds what the chunks seen say about the curve.
fn describe(curve: &Curve, drawn: &[usize], seen: &[usize], decision: Decision) -> Decision {
    let (last, total, middle) = (curve.alphas.len() - 1, drawn.len(), (curve.alphas.len() - 1) / 2);
    let wide = &drawn[..seen[middle]];
    // a value at `point`, of which `apart` knows what the ends and the middle say of a chunk: on many chunks that, on the
    // point's own what is left
    let estimate = |point: usize, apart: &dyn Fn(usize) -> f64| {
        let of_ends = curve.sample(wide, apart);
        let own = point != 0 && point != last && point != middle;
        let part = &drawn[..seen[point]];
        let rest = curve.sample(part, |chunk| curve.remainder(point, middle, chunk));
        let (value, error) = if own { (rest.mean, rest.standard_error(total)) } else { (0.0, 0.0) };
        // errors add, since chunks are shared
        Estimate { value: of_ends.mean + value, error: of_ends.standard_error(total) + error }
    };
    let loss = |point: usize| {
        estimate(point, &|chunk| match point {
            0 => curve.known(0, chunk),
            point if point == last => curve.known(last, chunk),
            point => {
                let alpha = curve.alphas[point];
                (1.0 - alpha) * curve.known(0, chunk)
                    + alpha * curve.known(last, chunk)
                    + curve.share(point, middle) * curve.bow(middle, chunk)
            }
        })
    };
    let losses: Vec<f64> = (0..=last).map(|point| loss(point).value).collect();
    let lowest = (1..=last).fold(0, |best, point| if losses[point] < losses[best] { point } else { best });
    let depth = estimate(lowest, &|chunk| {
        let (start, end) = (curve.known(0, chunk), curve.known(last, chunk));
        let along = match lowest {
            0 => start,
            point if point == last => end,
            point => {
                let alpha = curve.alphas[point];
                let bow = curve.share(point, middle) * curve.bow(middle, chunk);
                (1.0 - alpha) * start + alpha * end + bow
            }
        };
        0.5 * (start + end) - along
    });
    let own = if lowest == 0 || lowest == last || lowest == middle {
        0.0
    } else {
        curve.sample(&drawn[..seen[lowest]], |chunk| curve.remainder(lowest, middle, chunk)).mean
    };
    let not_above = |&point: &usize| {
        let common = &drawn[..seen[point].min(seen[lowest])];
        let apart = curve.sample(common, |chunk| curve.known(point, chunk) - curve.known(lowest, chunk));
        point == lowest || apart.mean <= 2.0 * apart.standard_error(total)
    };
    let candidates: Vec<usize> = (0..=last).filter(not_above).collect();
    let alpha = |point: Option<&usize>| point.map_or(curve.alphas[lowest], |&point| curve.alphas[point]);
    Decision {
        min_loss: loss(lowest),
        // the remainder lowers the floor and so adds to the depth
        depth: Estimate { value: depth.value - 2.0 * own, ..depth },
        min_alpha_interval: [alpha(candidates.first()), alpha(candidates.last())],
        alphas: curve.alphas.clone(),
        losses,
        ..decision
    }
}

#[cfg(test)]
mod tests;
