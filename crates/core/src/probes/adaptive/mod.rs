//! The verdict of [`Interpolation`](super::interpolation::Interpolation) from as few samples as possible.
//!
//! Chunks are drawn without replacement in growing looks. The ends and the middle of a segment use all chunks of a look,
//! the other points only as many as their verdict requires (`verdict`), based on these chunks, their samples and earlier segments
//! (`history`). The error rate is nominal: it assumes that means of chunks are nearly normal, and makes an assumption about rare
//! samples. To check it, a random share of the segments decided early is also measured on all samples (`audit`), and so is the
//! first segment in each order of chunks.

mod audit;
mod curve;
mod estimate;
mod history;
mod sample;
mod spread;
mod tail;
mod verdict;

use std::ops::Range;

use rand::Rng;
use rand::seq::SliceRandom;

pub use self::audit::Audit;
use self::curve::Curve;
pub use self::estimate::CurveEstimate;
use self::estimate::{Floor, Known, fewest, widened};
use self::history::History;
use self::verdict::{Finding, Look, Standard};
use super::interpolation::{SamplesOf, UpdateLine};
use super::line::greatest;
use super::path::PathLoss;
use crate::{CoreError, Point, Samples, Seed, Step, Stream};

/// Minimum number of chunks in a first look.
const FIRST_CHUNKS: usize = 8;

/// Minimum number of samples in a first look: a kind of sample with a share of 1% is missed by a fraction e^-10 of such looks.
const FIRST_SAMPLES: usize = 1000;

/// Minimum number of chunks that the other points use at first.
const FEW_CHUNKS: usize = 3;

/// Minimum number of samples that the other points use at first.
const FEW_SAMPLES: usize = 300;

/// Each look has this many times as many chunks as the previous one.
const GROWTH: f64 = 1.25;

/// Parameters of the decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveConfig {
    /// Number of values of α, evenly spaced from 0 to 1, including the ends; at least 3.
    pub points: usize,
    /// Nominal probability of any wrong verdict on `segments` segments.
    pub error_rate: f64,
    /// Number of segments that share the error rate.
    pub segments: usize,
    /// Rare samples left out may contribute this many times as much as such samples contributed recently; 0 for no guard.
    pub guard: f64,
    /// The share of the segments decided early that are audited, besides the first in each order of chunks.
    pub audit: f64,
}

/// The verdict, and the estimate of the curve from the samples seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether some interior point lies above both ends, according to the audit if there was one; `None` if NaN losses leave it
    /// undecided.
    pub barrier: Option<bool>,
    /// Whether there is a barrier according to the samples seen before an audit.
    pub early: bool,
    /// Whether all chunks at the ends and the middle were needed.
    pub exact: bool,
    /// Number of chunks evaluated at the ends; interior points that were decided earlier used fewer.
    pub chunks: usize,
    /// Number of chunks evaluated over all α, excluding those known from the previous segment and those of the audit.
    pub evaluations: usize,
    /// The check on all samples, if the segment was selected for one.
    pub audit: Option<Audit>,
    /// The curve.
    pub estimate: CurveEstimate,
    /// Standard error of the lowest loss minus that of the previous segment, widened like those of the curve; `None` if there
    /// was none.
    pub floor_move_error: Option<f64>,
}

/// What is kept of earlier segments.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveMemory {
    /// The end of the last segment.
    pub step: Step,
    /// The order in which its chunks were drawn.
    pub order: u64,
    /// The losses there of the samples drawn first.
    pub end_losses: Vec<f64>,
    /// Its floor.
    floor: Floor,
    /// How much chunks and samples vary.
    history: History,
}

/// Decides segment after segment; the end shared by two of them keeps its chunks.
pub struct Adaptive<'a> {
    config: AdaptiveConfig,
    seed: Seed,
    path: PathLoss<'a>,
    /// Scratch for θ_α.
    between: Point,
    /// The known running statistics of each point of the segment.
    buffers: Vec<Option<Vec<f32>>>,
    /// The memory of earlier segments, if any.
    pub memory: Option<AdaptiveMemory>,
}

/// Some chunks of a set of samples, concatenated.
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

impl AdaptiveMemory {
    /// What is kept with a checkpoint besides the end of the last segment: on its floor, and on the segments before.
    pub fn numbers(&self) -> [Vec<f64>; 2] {
        [self.floor.numbers(), self.history.numbers()]
    }

    /// From [`AdaptiveMemory::numbers`] and the end of the last segment, for `points` points; `None` if the numbers do not fit.
    pub fn restore(
        step: Step,
        order: u64,
        end_losses: Vec<f64>,
        numbers: [&[f64]; 2],
        points: usize,
    ) -> Option<Self> {
        let [floor, history] = numbers;
        let (floor, history) = (Floor::from_numbers(floor)?, History::from_numbers(history, points)?);
        Some(Self { step, order, end_losses, floor, history })
    }
}

/// One segment in progress.
struct Work<'w> {
    line: UpdateLine<'w>,
    samples: Box<dyn Samples + 'w>,
    curve: Curve,
    /// Number of chunks evaluated.
    evaluations: usize,
}

impl<'a> Adaptive<'a> {
    /// A probe that evaluates with `path`, whose chunk divides the number of samples, and draws chunks by `seed`.
    pub fn new(config: AdaptiveConfig, seed: Seed, path: PathLoss<'a>) -> Self {
        Self { config, seed, path, between: Point::default(), buffers: vec![], memory: None }
    }

    /// The evaluator.
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
        let points = self.config.points;
        assert!(points >= 3, "a segment has an interior");
        let samples = samples(0);
        let drawn = self.draw(order, samples.len())?;
        let mut curve = Curve::new(points, drawn, self.path.chunk());
        // if the order is new, or a step is missing, chunks and floors have nothing in common
        let is_first = self.memory.as_ref().is_none_or(|memory| memory.order != order);
        let (mut history, before) = match self.memory.take() {
            Some(AdaptiveMemory { step, order: drawn_by, end_losses, floor, history }) => {
                let is_next = step == line.step && drawn_by == order;
                (history, is_next.then_some((end_losses, floor)))
            }
            None => (History::new(points), None),
        };
        let (known, floor_before) = before.unzip();
        curve.add(0, &known.unwrap_or_default());
        let mut work = Work { line, samples, curve, evaluations: 0 };
        self.buffers = vec![None; points];
        let early = self.decide(&mut work, &history)?;
        let exact = work.curve.parabola_is_complete();
        let chunks = work.curve.seen_by_parabola();
        let evaluations = work.evaluations;
        // the first segment in an order is always audited, so the next ones know the contribution of rare samples
        let mut rng = self.seed.rng(Stream::InterpolationAudit, [line.step.0]);
        let random = rng.gen_bool(self.config.audit.clamp(0.0, 1.0));
        let is_audited = (random || is_first) && !exact;
        let audit = if is_audited { Some(self.audit(&mut work, &history, random)?) } else { None };
        history.note(&work.curve);
        let known = Known::new(&work.curve, &history);
        let mut estimate = known.estimate();
        // with non-finite losses, all chunks are seen
        let barrier = match &audit {
            Some(audit) => audit.barrier,
            None if estimate.segment.is_finite() => Some(early),
            None => estimate.segment.has_barrier(),
        };
        let floor = known.floor(estimate.segment.min_index());
        let floor_move = floor_before.and_then(|before| before.error_of_move(&floor, work.curve.total()));
        let freedom_of_move = floor_move.map_or(f64::INFINITY, |error| fewest(&[error]));
        estimate.degrees_of_freedom = estimate.degrees_of_freedom.min(freedom_of_move);
        let floor_move_error = floor_move.map(widened);
        let end_losses = std::mem::take(&mut work.curve.samples[points - 1]);
        self.memory = Some(AdaptiveMemory { step: line.step.next(), order, end_losses, floor, history });
        Ok(Decision { barrier, early, exact, chunks, evaluations, audit, estimate, floor_move_error })
    }

    /// The order in which the chunks of `samples` samples are drawn.
    fn draw(&self, order: u64, samples: usize) -> Result<Vec<usize>, CoreError> {
        let chunk = self.path.chunk();
        if chunk == 0 || !samples.is_multiple_of(chunk) {
            let what = "an adaptive evaluation, which needs whole chunks,";
            return Err(CoreError::Length { what, found: samples, expected: samples / chunk.max(1) * chunk });
        }
        let mut chunks: Vec<usize> = (0..samples / chunk).collect();
        chunks.shuffle(&mut self.seed.rng(Stream::Interpolation, [order]));
        Ok(chunks)
    }

    /// Evaluates as many chunks as the verdict and the errors of the estimates require; returns whether there is a barrier.
    fn decide(&mut self, work: &mut Work<'_>, history: &History) -> Result<bool, CoreError> {
        let total = work.curve.total();
        let last = work.curve.grid.last();
        let first = FIRST_SAMPLES.div_ceil(self.path.chunk()).max(FIRST_CHUNKS).min(total);
        let few = if history.is_new() {
            first
        } else {
            FEW_SAMPLES.div_ceil(self.path.chunk()).max(FEW_CHUNKS).min(total)
        };
        let mut open: Vec<usize> = (1..last).collect();
        let mut tests = vec![0; last];
        let mut look = first;
        loop {
            for point in work.curve.grid.parabola() {
                self.fill(point, look, work)?;
            }
            let known = Look::new(&work.curve, history, self.config.standard());
            let mut still = vec![];
            for &point in &open {
                self.fill(point, few, work)?;
                loop {
                    tests[point] += 1;
                    match finding(&known, point, tests[point], &work.curve, history) {
                        Finding::Barrier => {
                            self.settle(work, history)?;
                            return Ok(true);
                        }
                        Finding::NoBarrier => break,
                        Finding::NeedsPoint => {
                            let seen = work.curve.seen(point);
                            self.fill(point, look.min(2 * seen), work)?;
                        }
                        Finding::NeedsParabola => {
                            still.push(point);
                            break;
                        }
                    }
                }
            }
            open = still;
            if open.is_empty() || look == total {
                break;
            }
            look = total.min((look as f64 * GROWTH).ceil() as usize);
        }
        self.settle(work, history)?;
        Ok(false)
    }

    /// Evaluates more chunks of the points that may be the lowest until the choice among them adds nothing to the stated errors.
    fn settle(&mut self, work: &mut Work<'_>, history: &History) -> Result<(), CoreError> {
        loop {
            let wanting = Known::new(&work.curve, history).needs_more();
            if wanting.is_empty() {
                return Ok(());
            }
            let most = work.curve.seen_by_parabola();
            for point in wanting {
                let seen = work.curve.seen(point);
                self.fill(point, most.min(2 * seen.max(1)), work)?;
            }
        }
    }

    /// Checks the verdict on all samples.
    fn audit(&mut self, work: &mut Work<'_>, history: &History, random: bool) -> Result<Audit, CoreError> {
        let (before, total) = (work.evaluations, work.curve.total());
        let points = [work.curve.grid.middle(), Known::new(&work.curve, history).highest()];
        for point in [0, work.curve.grid.last()].into_iter().chain(points) {
            self.fill(point, total, work)?;
        }
        Ok(Audit::new(&work.curve, &points, random, work.evaluations - before))
    }

    /// Evaluates the first `chunks` chunks at a point, except those already known.
    fn fill(&mut self, point: usize, chunks: usize, work: &mut Work<'_>) -> Result<(), CoreError> {
        let known = work.curve.seen(point);
        if known >= chunks {
            return Ok(());
        }
        let missing = &work.curve.drawn[known..chunks];
        work.line.set_point(point, self.config.points - 1, &mut self.between);
        match &self.buffers[point] {
            Some(buffers) => self.between.buffers.clone_from(buffers),
            None => {
                self.path.restate(&mut self.between)?;
                self.buffers[point] = Some(self.between.buffers.clone());
            }
        }
        let picked = Picked { samples: &*work.samples, chunk: self.path.chunk(), chunks: missing };
        let evaluation = self.path.evaluate_restated(&self.between, &picked)?;
        work.evaluations += missing.len();
        let losses: Vec<f64> = evaluation.chunks.into_iter().flat_map(|result| result.losses).collect();
        work.curve.add(point, &losses);
        Ok(())
    }
}

impl AdaptiveConfig {
    fn standard(&self) -> Standard {
        let level = self.error_rate / self.segments.max(1) as f64;
        Standard { level, missed: self.error_rate, guard: self.guard }
    }
}

/// What is known about a point: once all chunks are seen, mean losses are compared as in an exact measurement.
fn finding(look: &Look, point: usize, test: usize, curve: &Curve, history: &History) -> Finding {
    if curve.is_complete(point) && curve.parabola_is_complete() {
        let higher = greatest(&[curve.exact(0), curve.exact(curve.grid.last())]);
        return if curve.exact(point) > higher { Finding::Barrier } else { Finding::NoBarrier };
    }
    look.finding(point, test, curve, history)
}

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod nearly_dead;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
