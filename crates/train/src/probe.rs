//! The `[probe]` section, and probes as the training loop sees them.

use serde::{Deserialize, Serialize};
use walk_core::probes::{Interpolation, InterpolationConfig};
use walk_core::{Backend, BatchNormMode, Model, Samples, Seed};
use walk_data::Subset;
use walk_record::{InterpolationRow, Row};

use crate::samples::{Fixed, Redrawn};
use crate::{Position, Schedule, TrainError, Update};

/// Something that looks at updates.
pub trait Probe {
    /// Whether it wants to see the update at `at`.
    fn is_due(&self, at: Position) -> bool;

    /// Samples that one measurement evaluates: its share of a progress bar.
    fn cost(&self) -> usize;

    /// Looks at an update and says what it found.
    ///
    /// # Errors
    /// [`TrainError`] if the device fails or a measured loss is not finite.
    fn measure(&mut self, update: &Update<'_>) -> Result<Row, TrainError>;
}

/// The probes of an experiment; each is off unless its section is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeConfig {
    /// The loss along each update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<InterpolationSection>,
}

/// `[probe.interpolation]`: losses at α = 0, ..., 1 between the points before and after an update, on all training
/// samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterpolationSection {
    /// At which updates.
    #[serde(default)]
    pub when: Schedule,
    /// Number of α, ends included.
    #[serde(default = "figure_points")]
    pub points: usize,
    /// Samples per evaluation chunk: the batch that batch norm sees.
    #[serde(default = "paper_chunk")]
    pub chunk: usize,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNormMode,
    /// What each loss is evaluated on.
    #[serde(default)]
    pub evaluation: EvaluationData,
}

/// What losses are evaluated on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

const fn paper_chunk() -> usize {
    100
}

impl ProbeConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`TrainError::Value`] for the first that cannot be used.
    pub fn check(&self, epochs: u32, updates_per_epoch: usize) -> Result<(), TrainError> {
        let Some(section) = &self.interpolation else { return Ok(()) };
        section.when.check("probe.interpolation.when", epochs, updates_per_epoch)?;
        if !(3..=1001).contains(&section.points) {
            return Err(TrainError::value("probe.interpolation.points", section.points, "3 to 1001"));
        }
        if section.chunk == 0 {
            return Err(TrainError::value("probe.interpolation.chunk", section.chunk, "at least 1"));
        }
        Ok(())
    }

    /// The probes that are on.
    pub fn probes<'a, B: Backend>(
        &self,
        model: &Model<B>,
        train: &'a Subset,
        seed: Seed,
    ) -> Vec<Box<dyn Probe + 'a>> {
        let interpolation = self.interpolation.as_ref().map(|section| {
            Box::new(InterpolationProbe::new(section.clone(), model, train, seed)) as Box<dyn Probe + 'a>
        });
        interpolation.into_iter().collect()
    }
}

struct InterpolationProbe<'a> {
    section: InterpolationSection,
    interpolation: Interpolation,
    train: &'a Subset,
    seed: Seed,
}

impl<'a> InterpolationProbe<'a> {
    fn new<B: Backend>(
        section: InterpolationSection,
        model: &Model<B>,
        train: &'a Subset,
        seed: Seed,
    ) -> Self {
        let InterpolationSection { points, chunk, batch_norm, .. } = section;
        let config = InterpolationConfig { points, chunk, batch_norm };
        Self { section, interpolation: Interpolation::new(config, model.evaluator()), train, seed }
    }
}

impl Probe for InterpolationProbe<'_> {
    fn is_due(&self, at: Position) -> bool {
        self.section.when.includes(at)
    }

    fn cost(&self) -> usize {
        (self.section.points - 1) * self.train.len()
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Row, TrainError> {
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
        Ok(Row::Interpolation(InterpolationRow {
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
            samples: self.train.len(),
            batch_norm: match self.section.batch_norm {
                BatchNormMode::Batch => "batch".into(),
                BatchNormMode::Running => "running".into(),
            },
            evaluation: evaluation.name().into(),
        }))
    }
}
