//! `[probe.interpolation]`: the loss along each update (paper, Section 2), exactly or by an adaptive test.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::probes::adaptive::{Adaptive, AdaptiveConfig, Decision};
use walk_core::probes::interpolation::{Interpolation, InterpolationConfig, Segment};
use walk_core::{Backend, Samples, Seed, Step, Stream};
use walk_data::Subset;
use walk_record::rows::{self, Ended, Kind, Mode};
use walk_record::{BatchNorm, EvaluationData, Measured, Values, measured};

use super::active::{Probe, Section};
use super::context::ProbeContext;
use super::values::{ChunkSize, Fraction, Within, statistics};
use crate::samples::{Fixed, Redrawn};
use crate::{Memory, Schedule, TrainError, Update, Work};

/// `[probe.interpolation]`: losses at α = 0, ..., 1 between the points before and after an update, on all training
/// samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterpolationSection {
    /// At which updates.
    #[serde(default)]
    pub when: Schedule,
    /// Number of α, endpoints included.
    #[serde(default = "figure_points")]
    pub points: Within<3, 1001>,
    /// Samples per evaluation chunk: the batch that batch norm sees.
    #[serde(default = "super::values::paper_chunk")]
    pub chunk: ChunkSize,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// What each loss is evaluated on.
    #[serde(default)]
    pub evaluation: EvaluationData,
    /// On how many samples.
    #[serde(default)]
    pub mode: Mode,
    /// In adaptive mode: the probability of any wrong verdict in an epoch.
    #[serde(default = "usual_error_rate")]
    pub error_rate: Fraction,
}

const fn usual_error_rate() -> Fraction {
    Fraction::new(1e-3)
}

const fn figure_points() -> Within<3, 1001> {
    Within::new(11)
}

impl Section for InterpolationSection {
    fn check(&self, key: &str) -> Result<(), TrainError> {
        if self.mode == Mode::Adaptive && self.evaluation == EvaluationData::Paper {
            let expected = "\"exact\" with `evaluation` = \"paper\": paired differences need the same samples at every alpha";
            return Err(TrainError::value(&format!("{key}.mode"), "\"adaptive\"", expected));
        }
        Ok(())
    }

    fn probe<'a, B: Backend>(&self, context: ProbeContext<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let (points, chunk) = (self.points.get(), self.chunk.get());
        let batch_norm = statistics(self.batch_norm);
        let ProbeContext { train, seed, .. } = context;
        match self.mode {
            Mode::Exact => {
                let config = InterpolationConfig { points, chunk, batch_norm };
                let interpolation = Interpolation::new(config, context.evaluator());
                Ok(Box::new(ExactProbe { section: self.clone(), interpolation, train, seed }))
            }
            Mode::Adaptive => {
                // chunks of equal size are what the test draws
                if !train.len().is_multiple_of(chunk) {
                    let expected =
                        format!("a divisor of {} (the training samples) in adaptive mode", train.len());
                    return Err(TrainError::value("probe.interpolation.chunk", chunk, expected));
                }
                // an epoch has at most that many segments, and their errors add up
                let updates = context.optim.updates_per_epoch(train.len());
                let error_rate = self.error_rate.get() / updates as f64;
                let config = AdaptiveConfig { points, chunk, batch_norm, error_rate };
                let adaptive = Adaptive::new(config, seed, context.evaluator());
                Ok(Box::new(AdaptiveProbe { section: self.clone(), adaptive, train }))
            }
        }
    }
}

impl InterpolationSection {
    /// Losses that a segment does not share with the one before.
    fn new_points(&self) -> usize {
        self.points.get() - 1
    }

    /// What a segment measured in full says.
    fn row(&self, segment: &Segment, samples: usize) -> rows::Interpolation {
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
            evaluation: self.evaluation,
            mode: self.mode,
            ended: None,
            depth_error: Measured::MISSING,
            min_loss_error: Measured::MISSING,
            min_alpha_interval: None,
        }
    }
}

struct ExactProbe<'a> {
    section: InterpolationSection,
    interpolation: Interpolation,
    train: &'a Subset,
    seed: Seed,
}

impl Probe for ExactProbe<'_> {
    fn work(&self) -> Work {
        Work::losses(self.section.new_points() * self.train.len())
    }

    fn memory(&self) -> Memory {
        match self.interpolation.last_end() {
            Some((step, loss)) => EndLosses { step, losses: vec![loss] }.memory(),
            None => Memory::default(),
        }
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        let end = EndLosses::of(memory)?;
        self.interpolation.set_last_end(end.and_then(|end| Some((end.step, *end.losses.first()?))));
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let (train, seed, evaluation) = (self.train, self.seed, self.section.evaluation);
        let first = update.start.0 * self.section.points.get() as u64;
        let samples = move |index: usize| -> Box<dyn Samples + '_> {
            let draw = first + index as u64;
            match evaluation {
                EvaluationData::Fixed => Box::new(Fixed(train)),
                EvaluationData::Paper => {
                    let augment = move |sample: u64| seed.rng(Stream::EvaluationAugment, [draw, sample]);
                    Box::new(Redrawn::new(train, seed.rng(Stream::EvaluationOrder, [draw]), augment))
                }
            }
        };
        let segment = self.interpolation.measure(update.line(), &samples)?;
        Ok(vec![self.section.row(&segment, train.len()).into()])
    }
}

struct AdaptiveProbe<'a> {
    section: InterpolationSection,
    adaptive: Adaptive,
    train: &'a Subset,
}

impl Probe for AdaptiveProbe<'_> {
    fn work(&self) -> Work {
        // a guess: what an early epoch takes
        Work::losses(self.section.new_points() * self.train.len() / 20)
    }

    fn memory(&self) -> Memory {
        match self.adaptive.last_end() {
            Some((step, losses)) => {
                let losses = losses.iter().map(|loss| loss.unwrap_or(f64::NAN)).collect();
                EndLosses { step, losses }.memory()
            }
            None => Memory::default(),
        }
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        let known = |loss: f64| if loss.is_nan() { None } else { Some(loss) };
        let end = EndLosses::of(memory)?;
        let end = end.map(|end| (end.step, end.losses.into_iter().map(known).collect()));
        self.adaptive.set_last_end(end);
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        // chunks are drawn anew for each epoch, so that neighbors share those of their common endpoint
        let (train, order) = (self.train, update.at.epoch.into());
        let samples = move |_: usize| -> Box<dyn Samples + '_> { Box::new(Fixed(train)) };
        let Decision { barrier, exact, chunks, evaluations, estimate } =
            self.adaptive.measure(update.line(), order, &samples)?;
        let chunk = self.section.chunk.get();
        let row = rows::Interpolation {
            barrier,
            evaluations: evaluations * chunk,
            ended: Some(if exact {
                Ended::Exact
            } else if barrier {
                Ended::Barrier
            } else {
                Ended::NoBarrier
            }),
            depth_error: estimate.depth_error.into(),
            min_loss_error: estimate.min_loss_error.into(),
            min_alpha_interval: Some(estimate.min_alpha_interval),
            ..self.section.row(&estimate.segment, chunks * chunk)
        };
        Ok(vec![row.into()])
    }
}

/// The losses where the last segment ended: those of the next one's start.
struct EndLosses {
    /// The update after which that was.
    step: Step,
    losses: Vec<f64>,
}

impl EndLosses {
    fn memory(self) -> Memory {
        let Self { step, losses } = self;
        Memory::default().with("end_step", Values::U64(vec![step.0])).with("end_losses", Values::F64(losses))
    }

    fn of(memory: &Memory) -> Result<Option<Self>, TrainError> {
        let end = memory.counter("end_step")?.map(Step).zip(memory.f64s("end_losses")?);
        Ok(end.map(|(step, losses)| Self { step, losses }))
    }
}
