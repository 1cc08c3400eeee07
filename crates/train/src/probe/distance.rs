//! `[probe.distance]`: ‖θ_{t+1} - θ_0‖₂.

use walk_core::probes::distance::distance_sq;

use super::prelude::*;

/// The distance of θ from its initial value after each update; trainable parameters only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistanceSection {
    /// When to measure.
    #[serde(default)]
    pub when: Schedule,
}

impl Section for DistanceSection {
    fn probe<'a>(&self, _: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        Ok(Box::new(DistanceProbe))
    }
}

struct DistanceProbe;

impl Probe for DistanceProbe {
    fn work(&self) -> Work {
        Work::default()
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let distance = distance_sq(&update.after.params, &update.initial.params).sqrt();
        Ok(vec![rows::Distance { distance: distance.into() }.into()])
    }
}
