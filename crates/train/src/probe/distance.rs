//! `[probe.distance]`: ‖θ_{t+1} - θ_0‖₂.

use walk_core::probes::distance::distance_sq;

use super::prelude::*;

/// How far θ is from where it started, after each update; trainable parameters only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistanceSection {
    /// At which updates.
    #[serde(default)]
    pub when: Schedule,
}

impl Section for DistanceSection {
    fn probe<'a, B: Backend>(&self, context: ProbeContext<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        Ok(Box::new(DistanceProbe { n_params: context.n_params(), start: None }))
    }
}

struct DistanceProbe {
    n_params: usize,
    /// θ_0
    start: Option<Vec<f32>>,
}

impl Probe for DistanceProbe {
    fn work(&self) -> Work {
        Work::default()
    }

    fn observe(&mut self, update: &Update<'_>) -> Result<(), TrainError> {
        self.start.get_or_insert_with(|| update.before.params.clone());
        Ok(())
    }

    fn memory(&self) -> Memory {
        Memory::default().with("start", self.start.clone().map(Values::F32))
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        self.start = memory.f32s("start", self.n_params)?;
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let start = self.start.as_deref().unwrap_or(&update.before.params);
        let distance = distance_sq(&update.after.params, start).sqrt();
        Ok(vec![rows::Distance { distance: distance.into() }.into()])
    }
}
