//! `[probe.noise]`: how far two evaluations of one loss lie apart, against which barriers are to be held.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::{Backend, BatchNormMode, Evaluator, Point, Samples, Seed, Stream};
use walk_data::Subset;
use walk_record::{NoiseRow, Rounding, Row};

use super::moments::Moments;
use super::surface::mode_name;
use super::{Context, EvaluationData, Probe, Section, Work};
use crate::samples::{First, Fixed, Redrawn};
use crate::{Position, Schedule, TrainError, Update};

/// The spread of the loss at one point, after an update. With `fixed` data the only noise is rounding: each parameter is
/// moved by up to one unit in its last place, as the rounding of an interpolated θ does, and all that is computed from it
/// rounds anew. With `paper` data samples are drawn, cropped and flipped anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseSection {
    /// At which updates.
    pub when: Schedule,
    /// m: evaluations of the loss.
    #[serde(default = "usual_evaluations")]
    pub evaluations: usize,
    /// Samples per evaluation chunk.
    #[serde(default = "super::paper_chunk")]
    pub chunk: usize,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNormMode,
    /// What each loss is evaluated on.
    #[serde(default)]
    pub evaluation: EvaluationData,
    /// With `fixed` data: so many samples' losses are evaluated in f64 too; 0 for none.
    #[serde(default = "usual_reference")]
    pub reference_samples: usize,
}

const fn usual_reference() -> usize {
    200
}

const fn usual_evaluations() -> usize {
    10
}

impl Section for NoiseSection {
    fn when(&self) -> &Schedule {
        &self.when
    }

    fn check(&self, key: &str) -> Result<(), TrainError> {
        let refuse = |name: &str, found: usize, expected: &str| {
            Err(TrainError::value(&format!("{key}.{name}"), found, expected))
        };
        if self.evaluations < 2 {
            return refuse("evaluations", self.evaluations, "at least 2");
        }
        if self.chunk == 0 { refuse("chunk", 0, "at least 1") } else { Ok(()) }
    }

    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let Context { model, train, seed, .. } = context;
        let (section, evaluator, reference) = (self.clone(), context.evaluator(), model.reference());
        Ok(Box::new(NoiseProbe { section, evaluator, reference, train, seed }))
    }
}

struct NoiseProbe<'a> {
    section: NoiseSection,
    evaluator: Box<dyn Evaluator>,
    /// In f64.
    reference: Box<dyn Evaluator>,
    train: &'a Subset,
    seed: Seed,
}

impl Probe for NoiseProbe<'_> {
    fn is_due(&self, at: Position) -> bool {
        self.section.when.includes(at)
    }

    fn work(&self) -> Work {
        // the reference is slow, but of few samples
        Work::losses(self.section.evaluations * self.train.len())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let NoiseSection { evaluations, chunk, batch_norm, evaluation, .. } = self.section;
        let at = update.at;
        let (mut losses, mut errors) = (vec![], vec![]);
        let some = First(Fixed(self.train), self.section.reference_samples.min(self.train.len()));
        for index in 0..evaluations as u64 {
            let (samples, point): (Box<dyn Samples>, Point) = match evaluation {
                EvaluationData::Fixed => {
                    let mut rng = self.seed.rng(Stream::Probe, at.step.0, (1 << 60) | index);
                    (Box::new(Fixed(self.train)), rounded_anew(update.after, &mut rng))
                }
                EvaluationData::Paper => {
                    let draw = (1 << 60) | (at.step.0 * evaluations as u64 + index);
                    (Box::new(Redrawn::new(self.train, self.seed, draw)), update.after.clone())
                }
            };
            let loss = self.evaluator.evaluate(&point, &*samples, chunk, batch_norm)?.mean_loss();
            TrainError::check_finite("an evaluated loss", loss, at)?;
            losses.push(loss);
            if evaluation == EvaluationData::Fixed && !some.is_empty() {
                let ours = self.evaluator.evaluate(&point, &some, chunk, batch_norm)?.mean_loss();
                errors.push(ours - self.reference.evaluate(&point, &some, chunk, batch_norm)?.mean_loss());
            }
        }
        let Moments { mean: mean_loss, deviation: sigma, .. } = Moments::of(&losses);
        let rounding = (!errors.is_empty()).then(|| {
            let Moments { mean, deviation, .. } = Moments::of(&errors);
            Rounding { samples: some.len(), mean, sigma: deviation }
        });
        Ok(vec![Row::Noise(NoiseRow {
            epoch: at.epoch,
            iteration: at.iteration,
            step: at.step.0,
            mean_loss,
            sigma,
            evaluations,
            batch_norm: mode_name(batch_norm),
            evaluation: evaluation.name().into(),
            rounding,
        })])
    }
}

/// Every parameter moved to its neighbour below, to that above, or not at all.
fn rounded_anew(point: &Point, rng: &mut impl Rng) -> Point {
    let moved = point.params.iter().map(|&x| match rng.gen_range(0..3) {
        0 => x.next_down(),
        1 => x.next_up(),
        _ => x,
    });
    Point { params: moved.collect(), buffers: point.buffers.clone() }
}
