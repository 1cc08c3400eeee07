//! `[probe.cosine]`: cos(g_t, g_{t-1}) of consecutive gradients (paper, Eq. 5).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::{Backend, dot};
use walk_record::{CosineRow, Row, Values};

use super::{Context, Memory, Probe, Section, Work};
use crate::{Position, Schedule, TrainError, Update};

/// The angle between the gradients of consecutive updates, without weight decay and, as the authors' code had it, with
/// λθ added to each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CosineSection {
    /// At which updates.
    #[serde(default)]
    pub when: Schedule,
}

impl Section for CosineSection {
    fn when(&self) -> &Schedule {
        &self.when
    }

    fn check(&self, _: &str) -> Result<(), TrainError> {
        Ok(())
    }

    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let (when, decay) = (self.when.clone(), context.optim.weight_decay as f32);
        let n_params = context.model.network().n_params();
        Ok(Box::new(CosineProbe { when, decay, n_params, last: None, row: None }))
    }
}

struct CosineProbe {
    when: Schedule,
    decay: f32,
    n_params: usize,
    /// The gradient of the update before, without and with weight decay.
    last: Option<[Vec<f32>; 2]>,
    row: Option<CosineRow>,
}

impl Probe for CosineProbe {
    fn is_due(&self, at: Position) -> bool {
        self.when.includes(at)
    }

    fn work(&self) -> Work {
        Work::default()
    }

    fn observe(&mut self, update: &Update<'_>) -> Result<(), TrainError> {
        let decayed = update.grad.iter().zip(&update.before.params).map(|(g, p)| g + self.decay * p);
        let gradients = [update.grad.to_vec(), decayed.collect()];
        let at = update.at;
        self.row = self.last.as_ref().map(|last| {
            let cosine = |which: usize| cosine(&last[which], &gradients[which]);
            CosineRow {
                epoch: at.epoch,
                iteration: at.iteration,
                step: at.step.0,
                cosine: cosine(0),
                cosine_with_decay: cosine(1),
            }
        });
        self.last = Some(gradients);
        Ok(())
    }

    fn memory(&self) -> Memory {
        let Some([plain, decayed]) = self.last.clone() else { return Memory::default() };
        Memory::default().with("last", Values::F32(plain)).with("last_with_decay", Values::F32(decayed))
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        let of = |name: &str| memory.f32s(name, self.n_params);
        self.last = of("last")?.zip(of("last_with_decay")?).map(|(plain, decayed)| [plain, decayed]);
        Ok(())
    }

    fn measure(&mut self, _: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        // the first update has none before it
        Ok(self.row.clone().map(Row::Cosine).into_iter().collect())
    }
}

/// a·b / (‖a‖ ‖b‖), `None` where a norm is 0.
fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    (norms > 0.0).then(|| (dot(a, b) / norms).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::cosine;

    #[test]
    fn angles_are_those_of_geometry() {
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
        assert!(close(cosine(&[1.0, 0.0], &[0.0, 2.0]), 0.0));
        assert!(close(cosine(&[3.0, 4.0], &[-6.0, -8.0]), -1.0));
        assert!(close(cosine(&[1.0, 1.0], &[5.0, 0.0]), 0.5f64.sqrt()));
        assert_eq!(cosine(&[0.0], &[1.0]), None);
    }
}
