//! The `[probe]` section: one file per probe, and the list of all probes.

mod active;
mod context;
mod curvature;
mod mean_loss;
mod prelude;
mod values;

pub use self::active::ActiveProbe;
pub use self::context::ProbeContext;
use self::prelude::*;
pub use self::values::{
    AtLeast, ChunkSize, Fraction, GradientChunk, NotNegative, SampleCount, Share, Within,
};
use crate::Position;

macro_rules! probes {
    ($($name:ident: $Section:ident,)*) => {
        $(mod $name;)*
        $(pub use self::$name::$Section;)*

        /// The probes of an experiment; each is off unless its section is present.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct ProbeConfig {
            $(#[doc = concat!("`[probe.", stringify!($name), "]`")]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $name: Option<$Section>,)*
        }

        impl ProbeConfig {
            /// Checks every value.
            ///
            /// # Errors
            /// [`TrainError::Value`] for the first invalid value.
            pub fn check(&self, epochs: u32, updates_per_epoch: usize) -> Result<(), TrainError> {
                $(if let Some(section) = &self.$name {
                    let key = concat!("probe.", stringify!($name));
                    section.when.check(&format!("{key}.when"), epochs, updates_per_epoch)?;
                    section.check(key, u64::from(epochs) * updates_per_epoch as u64)?;
                    for (name, schedule) in section.schedules() {
                        schedule.check(&format!("{key}.{name}"), epochs, updates_per_epoch)?;
                    }
                })*
                Ok(())
            }

            /// Remarks on values other than the default that have no effect, one sentence each.
            pub fn remarks(&self) -> Vec<String> {
                let mut remarks = vec![];
                $(if let Some(section) = &self.$name {
                    let keys = section.without_effect().into_iter().flatten();
                    remarks.extend(keys.map(|(key, reason)| {
                        format!("`probe.{}.{key}` has no effect: {reason}", stringify!($name))
                    }));
                })*
                remarks
            }

            /// Whether the probe of this name is on and measures at `at`.
            pub fn measures(&self, name: &str, at: Position) -> bool {
                $(if name == stringify!($name) {
                    return self.$name.as_ref().is_some_and(|section| section.when.includes(at));
                })*
                false
            }

            /// The probes that are on.
            ///
            /// # Errors
            /// [`TrainError::Value`] if something needed by one of them is not available.
            pub fn probes<'a>(
                &self,
                context: ProbeContext<'a>,
            ) -> Result<Vec<ActiveProbe<'a>>, TrainError> {
                let mut probes = vec![];
                $(if let Some(section) = &self.$name {
                    let probe = section.probe(context)?;
                    probes.push(ActiveProbe::new(stringify!($name), &section.when, probe));
                })*
                Ok(probes)
            }

            /// The same measurements in a run that may continue beyond `epochs`.
            #[must_use]
            pub fn within(mut self, epochs: u32) -> Self {
                $(if let Some(section) = &mut self.$name {
                    section.when = section.when.within(epochs);
                })*
                self
            }

            /// The union of the measurements of both; `None` if a probe measures differently in the two.
            pub fn join(&self, other: &Self) -> Option<Self> {
                let mut both = self.clone();
                $(match (&mut both.$name, &other.$name) {
                    (Some(ours), Some(theirs)) => {
                        let when = ours.when.join(&theirs.when);
                        ours.when.clone_from(&theirs.when);
                        if ours != theirs {
                            return None;
                        }
                        ours.when = when;
                    }
                    (ours @ None, Some(theirs)) => *ours = Some(theirs.clone()),
                    (_, None) => {}
                })*
                Some(both)
            }

            /// Whether every measurement of `other` is one of these.
            pub fn covers(&self, other: &Self) -> bool {
                $((match (&self.$name, &other.$name) {
                    (Some(ours), Some(theirs)) => {
                        let mut at_their_updates = ours.clone();
                        at_their_updates.when.clone_from(&theirs.when);
                        at_their_updates == *theirs && ours.when.covers(&theirs.when)
                    }
                    (None, Some(_)) => false,
                    (_, None) => true,
                }))&&*
            }
        }
    };
}

probes! {
    interpolation: InterpolationSection,
    noise: NoiseSection,
    cosine: CosineSection,
    distance: DistanceSection,
    alignment: AlignmentSection,
    covariance: CovarianceSection,
    spectrum: SpectrumSection,
    critical_lr: CriticalLrSection,
    line: LineSection,
    plane: PlaneSection,
    quadratic: QuadraticSection,
    connectivity: ConnectivitySection,
}

#[cfg(test)]
mod tests;
