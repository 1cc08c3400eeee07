//! `[probe.distance]`: ‖θ_{t+1} - θ_0‖₂.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::Backend;
use walk_record::{DistanceRow, Row, Values};

use super::{Context, Memory, Probe, Section, Work};
use crate::{Position, Schedule, TrainError, Update};

/// How far θ is from where it started, after each update; trainable parameters only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistanceSection {
    /// At which updates.
    #[serde(default)]
    pub when: Schedule,
}

impl Section for DistanceSection {
    fn when(&self) -> &Schedule {
        &self.when
    }

    fn check(&self, _: &str) -> Result<(), TrainError> {
        Ok(())
    }

    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let (when, n_params) = (self.when.clone(), context.model.network().n_params());
        Ok(Box::new(DistanceProbe { when, n_params, start: None }))
    }
}

struct DistanceProbe {
    when: Schedule,
    n_params: usize,
    /// θ_0
    start: Option<Vec<f32>>,
}

impl Probe for DistanceProbe {
    fn is_due(&self, at: Position) -> bool {
        self.when.includes(at)
    }

    fn work(&self) -> Work {
        Work::default()
    }

    fn observe(&mut self, update: &Update<'_>) -> Result<(), TrainError> {
        self.start.get_or_insert_with(|| update.before.params.clone());
        Ok(())
    }

    fn memory(&self) -> Memory {
        match self.start.clone() {
            Some(start) => Memory::default().with("start", Values::F32(start)),
            None => Memory::default(),
        }
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        self.start = memory.f32s("start", self.n_params)?;
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let start = self.start.as_deref().unwrap_or(&update.before.params);
        let distance = distance_sq(&update.after.params, start).sqrt();
        let Position { epoch, iteration, step, .. } = update.at;
        Ok(vec![Row::Distance(DistanceRow { epoch, iteration, step: step.0, distance })])
    }
}

/// ‖a - b‖², summed in f64 from left to right.
pub(super) fn distance_sq(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}
