//! The `[probe]` section, and probes as the training loop sees them.

mod alignment;
mod cosine;
mod covariance;
mod distance;
mod interpolation;
mod line;
mod memory;
mod moments;
mod noise;
mod plane;
mod spectrum;
mod surface;

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::{Backend, Evaluator, Model, Seed};
use walk_data::Subset;
use walk_record::Row;

pub use self::alignment::{AlignmentSection, HessianOf};
pub use self::cosine::CosineSection;
pub use self::covariance::CovarianceSection;
pub use self::distance::DistanceSection;
pub use self::interpolation::{EvaluationData, InterpolationSection, Mode};
pub use self::line::LineSection;
pub use self::memory::Memory;
pub use self::noise::NoiseSection;
pub use self::plane::{Directions, PlaneSection};
pub use self::spectrum::SpectrumSection;
use crate::ranks::ShardedEvaluator;
use crate::{OptimConfig, Position, Ranks, Schedule, TrainError, Update};

/// Something that looks at updates.
pub(crate) trait Probe {
    /// Whether it wants to measure at the update at `at`.
    fn is_due(&self, at: Position) -> bool;

    /// What one measurement takes.
    fn work(&self) -> Work;

    /// Sees every update, due or not, before it is asked to measure: what it needs of the past it keeps.
    ///
    /// # Errors
    /// [`TrainError`] if the device fails.
    fn observe(&mut self, _update: &Update<'_>) -> Result<(), TrainError> {
        Ok(())
    }

    /// What it keeps of the past.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// Takes back what [`Probe::memory`] gave.
    ///
    /// # Errors
    /// [`TrainError::State`] if it is not this probe's.
    fn restore(&mut self, _memory: &Memory) -> Result<(), TrainError> {
        Ok(())
    }

    /// Looks at an update and says what it found.
    ///
    /// # Errors
    /// [`TrainError`] if the device fails or a measured loss is not finite.
    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError>;
}

/// How many samples something is computed of, each counted as often as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Losses.
    pub evaluated: usize,
    /// Gradients.
    pub differentiated: usize,
    /// Products with the Hessian.
    pub multiplied: usize,
}

impl Work {
    /// So many losses.
    pub(crate) fn losses(evaluated: usize) -> Self {
        Self { evaluated, ..Self::default() }
    }

    /// The same so many times.
    #[must_use]
    pub fn times(self, n: usize) -> Self {
        let Self { evaluated, differentiated, multiplied } = self;
        Self { evaluated: n * evaluated, differentiated: n * differentiated, multiplied: n * multiplied }
    }

    /// Both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            evaluated: self.evaluated + other.evaluated,
            differentiated: self.differentiated + other.differentiated,
            multiplied: self.multiplied + other.multiplied,
        }
    }

    /// As so many samples' losses, for a progress bar: a gradient takes about four times a loss, a product with the Hessian
    /// ten times.
    pub fn weight(self) -> usize {
        self.evaluated + 4 * self.differentiated + 10 * self.multiplied
    }
}

/// A probe at work in a run.
pub struct ActiveProbe<'a> {
    /// Its section's name.
    pub name: &'static str,
    probe: Box<dyn Probe + 'a>,
    /// Updates it has measured.
    pub measurements: usize,
    /// Time it has taken.
    pub elapsed: Duration,
}

impl ActiveProbe<'_> {
    /// Whether it wants to measure at the update at `at`.
    pub fn is_due(&self, at: Position) -> bool {
        self.probe.is_due(at)
    }

    /// What one measurement takes.
    pub fn work(&self) -> Work {
        self.probe.work()
    }

    /// What it keeps of the past.
    pub(crate) fn memory(&self) -> Memory {
        self.probe.memory()
    }

    /// Takes back what [`ActiveProbe::memory`] gave.
    pub(crate) fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        self.probe.restore(memory)
    }

    /// Shows it an update; the rows of its measurement if it is due.
    pub(crate) fn see(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let started = Instant::now();
        let result = self.probe.observe(update).and_then(|()| {
            if !self.probe.is_due(update.at) {
                return Ok(vec![]);
            }
            self.measurements += 1;
            self.probe.measure(update)
        });
        self.elapsed += started.elapsed();
        result
    }
}

/// What probes are made for.
pub struct Context<'a, B> {
    /// The network.
    pub model: &'a Model<B>,
    /// The training samples.
    pub train: &'a Subset,
    /// How θ moves.
    pub optim: &'a OptimConfig,
    /// The experiment's seed.
    pub seed: Seed,
    /// The processes that share the work.
    pub ranks: &'a Arc<dyn Ranks>,
}

// by hand: derived, they would want B to be Copy
impl<B> Clone for Context<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Context<'_, B> {}

impl<B: Backend> Context<'_, B> {
    /// What evaluates losses, all ranks together.
    fn evaluator(&self) -> Box<dyn Evaluator> {
        ShardedEvaluator::over(self.model.evaluator(), self.ranks)
    }
}

impl<B> Context<'_, B> {
    fn updates_per_epoch(&self) -> usize {
        self.optim.updates_per_epoch(self.train.len())
    }
}

/// A probe's section of the experiment.
trait Section {
    /// At which updates it measures.
    fn when(&self) -> &Schedule;

    /// Checks its own values; `key` is its place in the experiment.
    fn check(&self, key: &str) -> Result<(), TrainError>;

    /// The probe.
    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError>;
}

/// Samples per chunk.
const fn paper_chunk() -> usize {
    100
}

/// The one list of probes.
macro_rules! probes {
    ($($(#[$doc:meta])* $name:ident: $section:ty,)*) => {
        /// The probes of an experiment; each is off unless its section is there.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct ProbeConfig {
            $($(#[$doc])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $name: Option<$section>,)*
        }

        impl ProbeConfig {
            /// Checks every value.
            ///
            /// # Errors
            /// [`TrainError::Value`] for the first that cannot be used.
            pub fn check(&self, epochs: u32, updates_per_epoch: usize) -> Result<(), TrainError> {
                $(if let Some(section) = &self.$name {
                    let key = concat!("probe.", stringify!($name));
                    section.when().check(&format!("{key}.when"), epochs, updates_per_epoch)?;
                    section.check(key)?;
                })*
                Ok(())
            }

            /// Whether the probe of this name is on and measures at `at`.
            pub fn measures(&self, name: &str, at: Position) -> bool {
                $(if name == stringify!($name) {
                    return self.$name.as_ref().is_some_and(|section| section.when().includes(at));
                })*
                false
            }

            /// The probes that are on.
            ///
            /// # Errors
            /// [`TrainError::Value`] if what one needs cannot be had.
            pub fn probes<'a, B: Backend>(
                &self,
                context: Context<'a, B>,
            ) -> Result<Vec<ActiveProbe<'a>>, TrainError> {
                let mut probes = vec![];
                $(if let Some(section) = &self.$name {
                    let (name, probe) = (stringify!($name), section.probe(context)?);
                    probes.push(ActiveProbe { name, probe, measurements: 0, elapsed: Duration::ZERO });
                })*
                Ok(probes)
            }
        }
    };
}

probes! {
    /// The loss along each update.
    interpolation: InterpolationSection,
    /// The spread of the loss at one point.
    noise: NoiseSection,
    /// The angle between consecutive gradients.
    cosine: CosineSection,
    /// How far θ is from where it started.
    distance: DistanceSection,
    /// How gradients lie to the Hessian, by batch size.
    alignment: AlignmentSection,
    /// How the gradients of single samples spread.
    covariance: CovarianceSection,
    /// Eigenvalues of the Hessian.
    spectrum: SpectrumSection,
    /// The loss along a line from the start, or from another run.
    line: LineSection,
    /// The loss on a plane.
    plane: PlaneSection,
}

#[cfg(test)]
mod tests;
