//! `[probe.interpolation]`: the loss along each update (paper, Section 2), exactly or by an adaptive test.

use walk_core::probes::adaptive::{Adaptive, AdaptiveConfig, AdaptiveMemory, Decision};
use walk_core::probes::interpolation::{Interpolation, Segment, SegmentEnd};
use walk_core::{Samples, Step};
use walk_record::rows::{Audit, Ended, Mode};
use walk_record::{EvaluationData, Measured};

use super::prelude::*;
use crate::samples::{Augmented, Redrawn};

/// Losses at α = 0, ..., 1 between the points before and after an update, on all training samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterpolationSection {
    /// When to measure.
    #[serde(default)]
    pub when: Schedule,
    /// Number of values of α, including the endpoints.
    #[serde(default = "Within::<3, 1001>::preset::<11>")]
    pub points: Within<3, 1001>,
    /// Number of samples per evaluation chunk, which is the batch that batch norm sees.
    #[serde(default = "super::values::paper_chunk")]
    pub chunk: ChunkSize,
    /// Batch norm statistics. Running ones are re-estimated at each point.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// With running statistics: number of samples used to re-estimate them at each point, in chunks of `chunk`, taken from the
    /// start of the mixed order.
    #[serde(default = "super::values::usual_statistics")]
    pub statistics_samples: SampleCount,
    /// The samples that each loss is evaluated on.
    #[serde(default)]
    pub evaluation: EvaluationData,
    /// Whether to use all samples or only as many as the verdict requires.
    #[serde(default)]
    pub mode: Mode,
    /// In adaptive mode: the nominal probability of any wrong verdict in an epoch.
    #[serde(default = "Fraction::thousandth")]
    pub error_rate: Fraction,
    /// In adaptive mode: the guard against rare samples that dominate the curve. Samples left out may contribute this many times
    /// as much as such samples contributed to earlier segments; 0 for no guard, which is cheaper.
    #[serde(default = "NotNegative::one_and_a_half")]
    pub guard: NotNegative,
    /// In adaptive mode: the share of segments decided early, selected at random, that are also measured on all samples: at the
    /// ends, the middle and where the verdict was closest. The first segment of each epoch is always audited; 0 for no others.
    #[serde(default = "Share::hundredth")]
    pub audit: Share,
}

impl Section for InterpolationSection {
    fn check(&self, key: &str, _updates: u64) -> Result<(), TrainError> {
        if self.mode == Mode::Adaptive && self.evaluation == EvaluationData::Paper {
            let expected = "\"exact\" with `evaluation` = \"paper\": paired differences need the same samples at every alpha";
            return Err(TrainError::value(&format!("{key}.mode"), "\"adaptive\"", expected));
        }
        Ok(())
    }

    fn without_effect(&self) -> Vec<Option<Unused>> {
        let in_exact_mode = |key, is_set| {
            (is_set && self.mode == Mode::Exact).then_some((key, "`mode` = \"exact\" uses all samples"))
        };
        vec![
            in_exact_mode("error_rate", self.error_rate != Fraction::thousandth()),
            in_exact_mode("guard", self.guard != NotNegative::one_and_a_half()),
            in_exact_mode("audit", self.audit != Share::hundredth()),
            unused_statistics(self.batch_norm, self.statistics_samples),
        ]
    }

    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let (points, chunk) = (self.points.get(), self.chunk.get());
        let ProbeContext { train, seed, .. } = context;
        let Self { chunk: size, batch_norm, statistics_samples, .. } = *self;
        let path = PathSection { key: "probe.interpolation", chunk: size, batch_norm, statistics_samples };
        let path = context.path_loss(path, train.len())?;
        let section = self.clone();
        match self.mode {
            Mode::Exact => {
                let interpolation = Interpolation::new(points, path);
                Ok(Box::new(ExactProbe { section, interpolation, train, seed }))
            }
            Mode::Adaptive => {
                // the test draws chunks of equal size
                if !train.len().is_multiple_of(chunk) {
                    let expected =
                        format!("a divisor of {} (the training samples) in adaptive mode", train.len());
                    return Err(TrainError::value("probe.interpolation.chunk", chunk, expected));
                }
                // an epoch has at most this many segments, and their error rates add up
                let segments = context.optim.updates_per_epoch(train.len());
                let (error_rate, audit) = (self.error_rate.get(), self.audit.get());
                let guard = self.guard.get();
                let config = AdaptiveConfig { points, error_rate, segments, guard, audit };
                let adaptive = Adaptive::new(config, seed, path);
                Ok(Box::new(AdaptiveProbe { section, adaptive, train, seed }))
            }
        }
    }
}

impl InterpolationSection {
    /// Number of losses that a segment does not share with the previous one.
    fn new_points(&self) -> usize {
        self.points.get() - 1
    }

    /// The results of a fully measured segment.
    fn row(&self, segment: &Segment, samples: usize, estimated_on: Option<usize>) -> rows::Interpolation {
        rows::Interpolation {
            alphas: segment.alphas().to_vec(),
            losses: measured(segment.losses()),
            barrier: segment.has_barrier(),
            height: segment.barrier_height().into(),
            depth: segment.valley_depth().into(),
            min_alpha: segment.min_alpha().into(),
            min_loss: segment.min_loss().into(),
            landing: segment.landing().into(),
            samples,
            evaluations: self.new_points() * samples,
            batch_norm: self.batch_norm,
            statistics_samples: estimated_on,
            evaluation: self.evaluation,
            mode: self.mode,
            ended: None,
            depth_error: Measured::MISSING,
            min_loss_error: Measured::MISSING,
            height_error: Measured::MISSING,
            floor_move_error: Measured::MISSING,
            degrees_of_freedom: Measured::MISSING,
            audit: None,
            min_alpha_interval: None,
        }
    }
}

struct ExactProbe<'a> {
    section: InterpolationSection,
    interpolation: Interpolation<'a>,
    train: &'a Subset,
    seed: Seed,
}

impl Probe for ExactProbe<'_> {
    fn work(&self) -> Work {
        Work::losses(self.section.new_points() * self.train.len(), self.section.chunk.get())
    }

    fn memory(&self) -> Memory {
        end_memory(self.interpolation.last_end.clone())
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        self.interpolation.last_end = segment_end(memory)?;
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let (train, seed, evaluation) = (self.train, self.seed, self.section.evaluation);
        let epoch = update.at.epoch;
        if evaluation == EvaluationData::Augmented && update.at.iteration == 1 {
            // the loss at the start is that of the previous epoch
            self.interpolation.last_end = None;
        }
        let first = update.start.0 * self.section.points.get() as u64;
        let samples = move |index: usize| -> Box<dyn Samples + '_> {
            let draw = first + index as u64;
            match evaluation {
                EvaluationData::Fixed => Box::new(Fixed(train)),
                EvaluationData::Augmented => Box::new(Augmented { part: train, seed, epoch }),
                EvaluationData::Paper => {
                    let augment = move |sample: u64| seed.rng(Stream::EvaluationAugment, [draw, sample]);
                    Box::new(Redrawn::new(train, seed.rng(Stream::EvaluationOrder, [draw]), augment))
                }
            }
        };
        let segment = self.interpolation.measure(update.line(), &samples)?;
        Ok(vec![self.section.row(&segment, train.len(), self.interpolation.path().estimated_on()).into()])
    }
}

struct AdaptiveProbe<'a> {
    section: InterpolationSection,
    adaptive: Adaptive<'a>,
    train: &'a Subset,
    seed: Seed,
}

/// Number of chunks that a verdict takes, a guess for time estimates: 5 to 7 were observed for an MLP, ResNet-8 and VGG-11, and
/// up to 40 for the paper's MLP late in training.
const USUAL_CHUNKS: usize = 8;

impl Probe for AdaptiveProbe<'_> {
    fn work(&self) -> Work {
        let InterpolationSection { chunk, audit, .. } = &self.section;
        let audits = (audit.get() * self.train.len() as f64) as usize;
        let samples = self.train.len().min(USUAL_CHUNKS * chunk.get() + audits);
        Work::losses(self.section.new_points() * samples, chunk.get())
    }

    fn memory(&self) -> Memory {
        let Some(kept) = &self.adaptive.memory else { return Memory::default() };
        let [floor, history] = kept.numbers();
        let end = SegmentEnd { step: kept.step, losses: kept.end_losses.clone() };
        end_memory(Some(end))
            .with(ORDER, Values::U64(vec![kept.order]))
            .with(FLOOR, Values::F64(floor))
            .with(HISTORY, Values::F64(history))
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        let Some(SegmentEnd { step, losses }) = segment_end(memory)? else { return Ok(()) };
        let wrong = |what: &str| TrainError::State { what: what.into() };
        let order = memory.get(ORDER, one)?.ok_or_else(|| wrong(ORDER))?;
        let floor = memory.get(FLOOR, numbers)?.ok_or_else(|| wrong(FLOOR))?;
        let history = memory.get(HISTORY, numbers)?.ok_or_else(|| wrong(HISTORY))?;
        let (kept, points) = ([&floor[..], &history], self.section.points.get());
        let restored = AdaptiveMemory::restore(step, order, losses, kept, points);
        self.adaptive.memory = Some(restored.ok_or_else(|| wrong(HISTORY))?);
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        // chunks are redrawn once per epoch, so neighbors share those of their common endpoint
        let (train, seed, epoch) = (self.train, self.seed, update.at.epoch);
        let is_augmented = self.section.evaluation == EvaluationData::Augmented;
        let samples = move |_: usize| -> Box<dyn Samples + '_> {
            if is_augmented {
                Box::new(Augmented { part: train, seed, epoch })
            } else {
                Box::new(Fixed(train))
            }
        };
        let Decision { barrier, early, exact, chunks, evaluations, audit, estimate, floor_move_error } =
            self.adaptive.measure(update.line(), epoch.into(), &samples)?;
        let chunk = self.section.chunk.get();
        let row = rows::Interpolation {
            barrier,
            evaluations: evaluations * chunk,
            ended: Some(match (exact, early) {
                (false, true) => Ended::Barrier,
                (false, false) => Ended::NoBarrier,
                (true, _) => Ended::Exact,
            }),
            depth_error: estimate.depth_error.into(),
            min_loss_error: estimate.min_loss_error.into(),
            height_error: estimate.height_error.into(),
            floor_move_error: floor_move_error.into(),
            degrees_of_freedom: estimate.degrees_of_freedom.into(),
            audit: audit.map(|audit| Audit {
                barrier: audit.barrier,
                random: audit.random,
                evaluations: audit.evaluations * chunk,
            }),
            min_alpha_interval: Some(estimate.min_alpha_interval),
            ..self.section.row(&estimate.segment, chunks * chunk, self.adaptive.path().estimated_on())
        };
        Ok(vec![row.into()])
    }
}

const END_STEP: &str = "measured.end_step";
const END_LOSSES: &str = "measured.end_losses";
const ORDER: &str = "measured.order";
const FLOOR: &str = "measured.floor";
const HISTORY: &str = "measured.history";

fn one(values: &Values) -> Option<u64> {
    match values {
        Values::U64(values) if values.len() == 1 => Some(values[0]),
        _ => None,
    }
}

fn numbers(values: &Values) -> Option<Vec<f64>> {
    match values {
        Values::F64(values) => Some(values.clone()),
        _ => None,
    }
}

/// What is kept of the last segment, since the next one starts where it ended.
fn end_memory(end: Option<SegmentEnd>) -> Memory {
    let Some(SegmentEnd { step, losses }) = end else { return Memory::default() };
    Memory::default().with(END_STEP, Values::U64(vec![step.0])).with(END_LOSSES, Values::F64(losses))
}

/// The inverse of [`end_memory`].
fn segment_end(memory: &Memory) -> Result<Option<SegmentEnd>, TrainError> {
    let step = memory.get(END_STEP, one).map(|step| step.map(Step));
    let losses = memory.get(END_LOSSES, numbers);
    Ok(step?.zip(losses?).map(|(step, losses)| SegmentEnd { step, losses }))
}
