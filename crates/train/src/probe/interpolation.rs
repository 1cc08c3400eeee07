//! `[probe.interpolation]`: the loss along each update (paper, Section 2), exactly or by an adaptive test.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::probes::{Adaptive, AdaptiveConfig, Ended, Interpolation, InterpolationConfig, Segment};
use walk_core::{Backend, BatchNormMode, Samples, Seed, Step};
use walk_data::Subset;
use walk_record::{InterpolationRow, Row, Values};

use super::surface::mode_name;
use super::{Context, Memory, Probe, Section, Work};
use crate::samples::{Fixed, Redrawn};
use crate::{Position, Schedule, TrainError, Update};

/// `[probe.interpolation]`: losses at α = 0, ..., 1 between the points before and after an update, on all training
/// samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterpolationSection {
    /// At which updates.
    #[serde(default)]
    pub when: Schedule,
    /// Number of α, ends included.
    #[serde(default = "figure_points")]
    pub points: usize,
    /// Samples per evaluation chunk: the batch that batch norm sees.
    #[serde(default = "super::paper_chunk")]
    pub chunk: usize,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNormMode,
    /// What each loss is evaluated on.
    #[serde(default)]
    pub evaluation: EvaluationData,
    /// On how many samples.
    #[serde(default)]
    pub mode: Mode,
    /// In adaptive mode: the chance of any wrong verdict in an epoch.
    #[serde(default = "usual_error_rate")]
    pub error_rate: f64,
}

/// On how many samples a segment is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// On all, at every α.
    #[default]
    Exact,
    /// On as many as the verdict takes.
    Adaptive,
}

const fn usual_error_rate() -> f64 {
    1e-3
}

/// What losses are evaluated on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationData {
    /// The training samples as they are, in their order: the only noise is rounding.
    #[default]
    Fixed,
    /// As the authors' loader gave them: shuffled, cropped and flipped anew for every α, so that losses carry noise.
    Paper,
}

impl EvaluationData {
    /// Its name in experiment files and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Paper => "paper",
        }
    }
}

const fn figure_points() -> usize {
    11
}

impl Section for InterpolationSection {
    fn when(&self) -> &Schedule {
        &self.when
    }

    fn check(&self, key: &str) -> Result<(), TrainError> {
        let refuse = |name: &str, found: String, expected: &str| {
            Err(TrainError::value(&format!("{key}.{name}"), found, expected))
        };
        if !(3..=1001).contains(&self.points) {
            return refuse("points", self.points.to_string(), "3 to 1001");
        }
        if self.chunk == 0 {
            return refuse("chunk", "0".into(), "at least 1");
        }
        if !(self.error_rate > 0.0 && self.error_rate < 1.0) {
            return refuse("error_rate", self.error_rate.to_string(), "a number between 0 and 1");
        }
        if self.mode == Mode::Adaptive && self.evaluation == EvaluationData::Paper {
            let expected = "\"exact\" with `evaluation` = \"paper\": paired differences want the same samples at every alpha";
            return refuse("mode", "\"adaptive\"".into(), expected);
        }
        Ok(())
    }

    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let Self { points, chunk, batch_norm, .. } = *self;
        let Context { train, seed, .. } = context;
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
                // an epoch has at most so many segments, and their errors add up
                let error_rate = self.error_rate / context.updates_per_epoch() as f64;
                let config = AdaptiveConfig { points, chunk, batch_norm, error_rate };
                let adaptive = Adaptive::new(config, seed, context.evaluator());
                Ok(Box::new(AdaptiveProbe { section: self.clone(), adaptive, train }))
            }
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
    fn is_due(&self, at: Position) -> bool {
        self.section.when.includes(at)
    }

    fn work(&self) -> Work {
        Work::losses((self.section.points - 1) * self.train.len())
    }

    fn memory(&self) -> Memory {
        match self.interpolation.last_end() {
            Some((step, loss)) => end_memory(step, vec![loss]),
            None => Memory::default(),
        }
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        let end = remembered_end(memory)?;
        self.interpolation.set_last_end(end.and_then(|(step, losses)| Some((step, *losses.first()?))));
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let (at, train, seed) = (update.at, self.train, self.seed);
        let first = update.start.0 * self.section.points as u64;
        let evaluation = self.section.evaluation;
        let samples = move |index: usize| -> Box<dyn Samples + '_> {
            match evaluation {
                EvaluationData::Fixed => Box::new(Fixed(train)),
                EvaluationData::Paper => Box::new(Redrawn::new(train, seed, first + index as u64)),
            }
        };
        let segment = self.interpolation.measure(update.start, update.before, update.after, &samples)?;
        for &loss in segment.losses() {
            TrainError::check_finite("an interpolated loss", loss, at)?;
        }
        let row = self.section.row(at, &segment);
        Ok(vec![Row::Interpolation(InterpolationRow {
            samples: train.len(),
            evaluations: (self.section.points - 1) * train.len(),
            ..row
        })])
    }
}

struct AdaptiveProbe<'a> {
    section: InterpolationSection,
    adaptive: Adaptive,
    train: &'a Subset,
}

impl Probe for AdaptiveProbe<'_> {
    fn is_due(&self, at: Position) -> bool {
        self.section.when.includes(at)
    }

    fn work(&self) -> Work {
        // a guess: what an early epoch takes
        Work::losses((self.section.points - 1) * self.train.len() / 20)
    }

    fn memory(&self) -> Memory {
        match self.adaptive.last_end() {
            Some((step, losses)) => {
                end_memory(step, losses.iter().map(|loss| loss.unwrap_or(f64::NAN)).collect())
            }
            None => Memory::default(),
        }
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        let known = |loss: f64| if loss.is_nan() { None } else { Some(loss) };
        let end = remembered_end(memory)?;
        self.adaptive.set_last_end(end.map(|(step, losses)| (step, losses.into_iter().map(known).collect())));
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let (at, train) = (update.at, self.train);
        // chunks are drawn anew for each epoch, so that neighbours share those of their common end
        let ends = (update.before, update.after);
        let samples = move |_: usize| -> Box<dyn Samples + '_> { Box::new(Fixed(train)) };
        let decision = self.adaptive.measure(update.start, at.epoch.into(), ends, &samples)?;
        for &loss in &decision.losses {
            TrainError::check_finite("an interpolated loss", loss, at)?;
        }
        let segment = Segment::new(decision.losses.clone()).expect("the check wants at least 3 points");
        let chunk = self.section.chunk;
        Ok(vec![Row::Interpolation(InterpolationRow {
            barrier: decision.barrier,
            samples: decision.chunks * chunk,
            evaluations: decision.evaluations * chunk,
            mode: "adaptive".into(),
            ended: Some(match decision.ended {
                Ended::NoBarrier => "no_barrier".into(),
                Ended::Barrier => "barrier".into(),
                Ended::Exact => "exact".into(),
            }),
            depth_error: Some(decision.depth.error),
            min_loss_error: Some(decision.min_loss.error),
            min_alpha_interval: Some(decision.min_alpha_interval),
            ..self.section.row(at, &segment)
        })])
    }
}

/// The losses where the last segment ended: those of the next one's start.
fn end_memory(step: Step, losses: Vec<f64>) -> Memory {
    Memory::default().with("end_step", Values::U64(vec![step.0])).with("end_losses", Values::F64(losses))
}

fn remembered_end(memory: &Memory) -> Result<Option<(Step, Vec<f64>)>, TrainError> {
    Ok(memory.counter("end_step")?.map(Step).zip(memory.f64s("end_losses")?))
}

impl InterpolationSection {
    /// What a segment says of itself.
    fn row(&self, at: Position, segment: &Segment) -> InterpolationRow {
        InterpolationRow {
            epoch: at.epoch,
            iteration: at.iteration,
            step: at.step.0,
            alphas: segment.alphas().to_vec(),
            losses: segment.losses().to_vec(),
            barrier: segment.has_barrier(),
            height: segment.barrier_height(),
            depth: segment.valley_depth(),
            min_alpha: segment.min_alpha(),
            min_loss: segment.min_loss(),
            landing: segment.landing(),
            samples: 0,
            evaluations: 0,
            batch_norm: mode_name(self.batch_norm),
            evaluation: self.evaluation.name().into(),
            mode: "exact".into(),
            ended: None,
            depth_error: None,
            min_loss_error: None,
            min_alpha_interval: None,
        }
    }
}
