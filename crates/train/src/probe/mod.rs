//! The `[probe]` section, and probes as the training loop sees them.

mod alignment;
mod cosine;
mod distance;
mod interpolation;
mod noise;

use serde::{Deserialize, Serialize};
use walk_core::{Backend, Model, Seed};
use walk_data::Subset;
use walk_record::Row;

pub use self::alignment::{AlignmentSection, HessianOf};
pub use self::cosine::CosineSection;
pub use self::distance::DistanceSection;
pub use self::interpolation::{EvaluationData, InterpolationSection, Mode};
pub use self::noise::NoiseSection;
use crate::{OptimConfig, Position, Schedule, TrainError, Update};

/// Something that looks at updates.
pub trait Probe {
    /// Whether it wants to measure at the update at `at`.
    fn is_due(&self, at: Position) -> bool;

    /// Samples that one measurement evaluates: its share of a progress bar.
    fn cost(&self) -> usize;

    /// Sees every update, due or not, before it is asked to measure: what it needs of the past it keeps.
    ///
    /// # Errors
    /// [`TrainError`] if the device fails.
    fn observe(&mut self, _update: &Update<'_>) -> Result<(), TrainError> {
        Ok(())
    }

    /// Looks at an update and says what it found.
    ///
    /// # Errors
    /// [`TrainError`] if the device fails or a measured loss is not finite.
    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError>;
}

/// What probes are made for.
#[derive(Debug)]
pub struct Context<'a, B> {
    /// The network.
    pub model: &'a Model<B>,
    /// The training samples.
    pub train: &'a Subset,
    /// How θ moves.
    pub optim: &'a OptimConfig,
    /// The experiment's seed.
    pub seed: Seed,
}

// by hand: derived, they would want B to be Copy
impl<B> Clone for Context<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Context<'_, B> {}

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
    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Box<dyn Probe + 'a>;
}

/// The one list of probes.
macro_rules! probes {
    ($($(#[$doc:meta])* $name:ident: $section:ty,)*) => {
        /// The probes of an experiment; each is off unless its section is there.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

            /// The probes that are on.
            pub fn probes<'a, B: Backend>(&self, context: Context<'a, B>) -> Vec<Box<dyn Probe + 'a>> {
                let mut probes: Vec<Box<dyn Probe + 'a>> = vec![];
                $(probes.extend(self.$name.as_ref().map(|section| section.probe(context)));)*
                probes
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
}
