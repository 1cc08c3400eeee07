//! The verdict of [`Interpolation`](super::Interpolation) on as few chunks as it takes.
//!
//! Chunks are drawn without replacement in growing rounds. With l_i(α) the loss of chunk i, an interior point is
//! surely no barrier as soon as the mean of l_i(α) - (1-α) l_i(0) - α l_i(1) is surely below 0: then L(α) lies below the
//! chord and so below the higher end, and the noise that is linear along the step cancels. It is none either if it lies
//! surely below one end, and it is a barrier if it lies surely above both. "Surely" is but for the error rate
//! ([`sequential`](super::sequential)), shared evenly by the interior points and the looks.

use std::ops::Range;

use rand::seq::SliceRandom;

use super::interpolation::{SamplesOf, blend};
use super::sequential::{Sample, looks};
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

/// A value and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error; 0 where all chunks were seen.
    pub error: f64,
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
    /// The lowest loss.
    pub min_loss: Estimate,
    /// Mean of the ends less the lowest loss.
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

    /// Distance from the chord at `point`, chunk by chunk.
    fn from_chord(&self, point: usize, chunk: usize) -> f64 {
        let (alpha, last) = (self.alphas[point], self.alphas.len() - 1);
        self.known(point, chunk) - (1.0 - alpha) * self.known(0, chunk) - alpha * self.known(last, chunk)
    }
}

impl Adaptive {
    /// A probe that evaluates with `evaluator` and draws chunks by `seed`.
    pub fn new(config: AdaptiveConfig, seed: Seed, evaluator: Box<dyn Evaluator>) -> Self {
        let between = Point { params: vec![], buffers: vec![] };
        Self { config, seed, evaluator, between, last_end: None }
    }

    /// Decides the segment between `from`, where `step` updates have been made, and `to`, one update later. `order` names the
    /// order in which chunks are drawn: segments of one order share the chunks of their common ends.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network, the chunk does not divide the samples, or the device fails.
    ///
    /// # Panics
    /// If the configuration has fewer than 3 points.
    pub fn measure(
        &mut self,
        step: Step,
        order: u64,
        (from, to): (&Point, &Point),
        samples: &SamplesOf<'_>,
    ) -> Result<Decision, CoreError> {
        let AdaptiveConfig { points, chunk, error_rate, .. } = self.config;
        assert!(points >= 3, "a segment has an interior");
        let samples = samples(0);
        if chunk == 0 || !samples.len().is_multiple_of(chunk) {
            let what = "an adaptive evaluation, which wants whole chunks,";
            return Err(CoreError::Length {
                what,
                found: samples.len(),
                expected: samples.len() / chunk.max(1) * chunk,
            });
        }
        let total = samples.len() / chunk;
        let mut drawn: Vec<usize> = (0..total).collect();
        drawn.shuffle(&mut self.seed.rng(Stream::Probe, order, 0));
        let last = points - 1;
        let mut curve = Curve {
            alphas: (0..points).map(|i| i as f64 / last as f64).collect(),
            losses: vec![vec![None; total]; points],
        };
        if let Some((end, known)) = self.last_end.take()
            && end == step
            && known.len() == total
        {
            curve.losses[0] = known;
        }
        let looks = looks(total);
        let level = error_rate / (points - 2) as f64 / looks.len() as f64;
        let mut open: Vec<usize> = (1..last).collect();
        // chunks seen by each point
        let mut seen = vec![0; points];
        let (mut evaluations, mut barrier, mut chunks) = (0, false, 0);
        for &look in &looks {
            chunks = look;
            for point in [0, last].into_iter().chain(open.iter().copied()) {
                seen[point] = look;
                evaluations += self.fill(point, (from, to), &mut curve, &*samples, &drawn[..look])?;
            }
            let part = &drawn[..look];
            let mut still = vec![];
            for &point in &open {
                let against = |end: usize| {
                    curve.sample(part, |chunk| curve.known(point, chunk) - curve.known(end, chunk))
                };
                let (start, end) = (against(0), against(last));
                let chord = curve.sample(part, |chunk| curve.from_chord(point, chunk));
                if start.is_above_zero(total, level) && end.is_above_zero(total, level) {
                    barrier = true;
                } else if ![chord, start, end].iter().any(|sample| sample.is_below_zero(total, level)) {
                    still.push(point);
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
        self.last_end = Some((step.next(), curve.losses[last].clone()));
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
        (from, to): (&Point, &Point),
        curve: &mut Curve,
        samples: &dyn Samples,
        part: &[usize],
    ) -> Result<usize, CoreError> {
        let AdaptiveConfig { points, chunk, batch_norm, .. } = self.config;
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
    let (last, total) = (curve.alphas.len() - 1, drawn.len());
    let ends = [0, last].map(|end| curve.sample(&drawn[..seen[end]], |chunk| curve.known(end, chunk)).mean);
    let loss = |point: usize| match point {
        0 => ends[0],
        point if point == last => ends[1],
        // a point that saw all chunks has its own mean, as an exact evaluation gives it
        point if seen[point] == total => curve.sample(drawn, |chunk| curve.known(point, chunk)).mean,
        point => {
            let alpha = curve.alphas[point];
            let apart = curve.sample(&drawn[..seen[point]], |chunk| curve.from_chord(point, chunk));
            (1.0 - alpha) * ends[0] + alpha * ends[1] + apart.mean
        }
    };
    let losses: Vec<f64> = (0..=last).map(loss).collect();
    let lowest = (1..=last).fold(0, |best, point| if losses[point] < losses[best] { point } else { best });
    let part = &drawn[..seen[lowest]];
    let estimate = |value: f64, of: &dyn Fn(usize) -> f64| Estimate {
        value,
        error: curve.sample(part, of).standard_error(total),
    };
    let mean_of_ends = |chunk: usize| 0.5 * (curve.known(0, chunk) + curve.known(last, chunk));
    let depth = 0.5 * (losses[0] + losses[last]) - losses[lowest];
    let not_above = |&point: &usize| {
        let common = &drawn[..seen[point].min(seen[lowest])];
        let apart = curve.sample(common, |chunk| curve.known(point, chunk) - curve.known(lowest, chunk));
        point == lowest || apart.mean <= 2.0 * apart.standard_error(total)
    };
    let candidates: Vec<usize> = (0..=last).filter(not_above).collect();
    let alpha = |point: Option<&usize>| point.map_or(curve.alphas[lowest], |&point| curve.alphas[point]);
    Decision {
        min_loss: estimate(losses[lowest], &|chunk| curve.known(lowest, chunk)),
        depth: estimate(depth, &|chunk| mean_of_ends(chunk) - curve.known(lowest, chunk)),
        min_alpha_interval: [alpha(candidates.first()), alpha(candidates.last())],
        alphas: curve.alphas.clone(),
        losses,
        ..decision
    }
}

#[cfg(test)]
mod tests;
