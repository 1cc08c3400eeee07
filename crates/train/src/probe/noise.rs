//! `[probe.noise]`: how much evaluations of the same loss differ, the scale on which barriers are judged.

use rand::Rng;
use walk_core::Samples;
use walk_core::probes::moments::Moments;
use walk_core::probes::redraws::{Redraw, redraw_noise};
use walk_record::EvaluationData;
use walk_record::rows::{BySample, Rounding};

use super::prelude::*;
use crate::samples::{Augmented, First, Redrawn};

/// The spread of the loss at the point after an update. Each parameter is moved by up to one unit in its last place, as by the
/// rounding of an interpolated θ, and everything computed from it is rounded again; with `fixed` and
/// `augmented` data this is the only noise. With `paper` data the samples are also drawn, cropped and flipped again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseSection {
    /// When to measure.
    pub when: Schedule,
    /// m: number of loss evaluations.
    #[serde(default = "AtLeast::<2>::preset::<10>")]
    pub evaluations: AtLeast<2>,
    /// Number of samples per evaluation chunk.
    #[serde(default = "super::values::paper_chunk")]
    pub chunk: ChunkSize,
    /// Batch norm statistics.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// The samples that each loss is evaluated on.
    #[serde(default)]
    pub evaluation: EvaluationData,
    /// With `fixed` data: number of samples whose losses are also evaluated in f64; 0 for none.
    #[serde(default = "usual_reference")]
    pub reference_samples: usize,
}

const fn usual_reference() -> usize {
    200
}

impl Section for NoiseSection {
    fn without_effect(&self) -> Vec<Option<Unused>> {
        let is_unused = self.evaluation != EvaluationData::Fixed
            && ![0, usual_reference()].contains(&self.reference_samples);
        vec![is_unused.then_some(("reference_samples", "only `evaluation` = \"fixed\" has a reference"))]
    }

    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let ProbeContext { model, train, seed, .. } = context;
        for samples in [train.len(), self.reference_samples.min(train.len())] {
            context.check_chunks("probe.noise.chunk", samples, self.chunk.get(), self.batch_norm)?;
        }
        let (section, evaluator, reference) = (self.clone(), context.evaluator(), model.reference());
        let depend = self.batch_norm == BatchNorm::Batch && model.network().has_batch_norm();
        let unit = if depend { self.chunk.get() } else { 1 };
        Ok(Box::new(NoiseProbe { section, evaluator, reference, unit, train, seed }))
    }
}

struct NoiseProbe<'a> {
    section: NoiseSection,
    evaluator: Box<dyn Evaluator>,
    /// The reference in f64.
    reference: Box<dyn Evaluator>,
    /// Samples whose losses depend on each other: a chunk with batch norm statistics of its own, or one.
    unit: usize,
    train: &'a Subset,
    seed: Seed,
}

impl Probe for NoiseProbe<'_> {
    fn work(&self) -> Work {
        // the reference is slow, but has few samples
        Work::losses(self.section.evaluations.get() * self.train.len(), self.section.chunk.get())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let NoiseSection { evaluations, chunk, batch_norm, evaluation, .. } = self.section;
        let (chunk, mode, seed, step) = (chunk.get(), statistics(batch_norm), self.seed, update.at.step.0);
        let (mut losses, mut errors, mut redraws) = (vec![], vec![], vec![]);
        let some = First(Fixed(self.train), self.section.reference_samples.min(self.train.len()));
        for index in 0..evaluations.get() as u64 {
            let point = rounded_anew(update.after, &mut seed.rng(Stream::NoiseRounding, [step, index]));
            let mut order = None;
            let samples: Box<dyn Samples> = match evaluation {
                EvaluationData::Fixed => Box::new(Fixed(self.train)),
                EvaluationData::Augmented => {
                    Box::new(Augmented { part: self.train, seed, epoch: update.at.epoch })
                }
                EvaluationData::Paper => {
                    let shuffle = seed.rng(Stream::NoiseOrder, [step, index]);
                    let augment = move |sample: u64| seed.rng(Stream::NoiseAugment, [step, index, sample]);
                    let redrawn = Redrawn::new(self.train, shuffle, augment);
                    order = self.train.is_augmented().then(|| redrawn.order().to_vec());
                    Box::new(redrawn)
                }
            };
            let found = self.evaluator.evaluate(&point, &*samples, chunk, mode)?;
            losses.push(found.mean_loss());
            if let Some(order) = order {
                let losses = found.chunks.into_iter().flat_map(|chunk| chunk.losses).collect();
                redraws.push(Redraw { order, losses });
            }
            if evaluation == EvaluationData::Fixed && !some.is_empty() {
                let ours = self.evaluator.evaluate(&point, &some, chunk, mode)?.mean_loss();
                errors.push(ours - self.reference.evaluate(&point, &some, chunk, mode)?.mean_loss());
            }
        }
        let Moments { mean: mean_loss, deviation: sigma, .. } = Moments::of(&losses);
        let rounding = (!errors.is_empty()).then(|| {
            let Moments { mean, deviation, .. } = Moments::of(&errors);
            Rounding { samples: some.len(), mean: mean.into(), sigma: deviation.into() }
        });
        let by_sample = redraw_noise(&redraws, self.unit)
            .map(|found| BySample { sigma: found.sigma.into(), degrees_of_freedom: found.freedom.into() });
        let row = rows::Noise {
            mean_loss: mean_loss.into(),
            sigma: sigma.into(),
            evaluations: evaluations.get(),
            batch_norm,
            evaluation,
            by_sample,
            rounding,
        };
        Ok(vec![row.into()])
    }
}

/// Moves every parameter to the next lower or higher number, or leaves it unchanged.
fn rounded_anew(point: &Point, rng: &mut impl Rng) -> Point {
    let moved = point.params.iter().map(|&x| match rng.gen_range(0..3) {
        0 => x.next_down(),
        1 => x.next_up(),
        _ => x,
    });
    Point { params: moved.collect(), buffers: point.buffers.clone() }
}
