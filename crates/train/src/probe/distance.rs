//! `[probe.distance]`: ‖θ_{t+1} - θ_0‖₂.

use serde::{Deserialize, Serialize};
use walk_core::Backend;
use walk_record::{DistanceRow, Row};

use super::{Context, Probe, Section};
use crate::{Position, Schedule, TrainError, Update};

/// How far θ is from where it started, after each update; trainable parameters only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

    fn probe<'a, B: Backend>(&self, _: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        Ok(Box::new(DistanceProbe { when: self.when.clone(), start: None }))
    }
}

struct DistanceProbe {
    when: Schedule,
    /// θ_0
    start: Option<Vec<f32>>,
}

impl Probe for DistanceProbe {
    fn is_due(&self, at: Position) -> bool {
        self.when.includes(at)
    }

    fn cost(&self) -> usize {
        0
    }

    fn observe(&mut self, update: &Update<'_>) -> Result<(), TrainError> {
        self.start.get_or_insert_with(|| update.before.params.clone());
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let start = self.start.as_deref().unwrap_or(&update.before.params);
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        let distance = update.after.params.iter().zip(start).map(square).sum::<f64>().sqrt();
        let Position { epoch, iteration, step, .. } = update.at;
        Ok(vec![Row::Distance(DistanceRow { epoch, iteration, step: step.0, distance })])
    }
}
