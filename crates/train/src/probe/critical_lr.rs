//! `[probe.critical_lr]`: how far along the update's direction the loss returns to its starting value.

use walk_core::interpolate;
use walk_core::probes::critical_lr::{Crossing, CrossingConfig, CrossingSearch, first_crossing};
use walk_core::probes::path::PathLoss;
use walk_record::Measured;
use walk_record::rows::CriticalLrOutcome;

use super::prelude::*;
use crate::samples::First;

/// The critical learning rate: the line of an update is extended until the training loss returns to L(θ_t); this α times η is
/// η_c, and 2 / η_c is the critical sharpness. It requires a handful of losses and no Hessian.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CriticalLrSection {
    /// When to measure.
    pub when: Schedule,
    /// The largest α to try.
    #[serde(default = "AtLeast::<1>::preset::<1024>")]
    pub max_alpha: AtLeast<1>,
    /// Maximum number of loss evaluations per update.
    #[serde(default = "AtLeast::<3>::preset::<20>")]
    pub evaluations: AtLeast<3>,
    /// Stop when the bracket is narrower than this fraction of η_c.
    #[serde(default = "usual_tolerance")]
    pub tolerance: Fraction,
    /// Number of samples in each loss, taken from the start of the mixed order; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleCount>,
    /// Number of samples per evaluation chunk.
    #[serde(default = "super::values::paper_chunk")]
    pub chunk: ChunkSize,
    /// Batch norm statistics. Running ones are re-estimated at each point.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// With running statistics: number of samples used to re-estimate them at each point, in chunks of `chunk`, taken from the
    /// start of the mixed order.
    #[serde(default = "super::values::usual_statistics")]
    pub statistics_samples: SampleCount,
}

const fn usual_tolerance() -> Fraction {
    Fraction::new(0.01)
}

impl Section for CriticalLrSection {
    fn without_effect(&self) -> Vec<Option<Unused>> {
        vec![unused_statistics(self.batch_norm, self.statistics_samples)]
    }

    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let ProbeContext { train, .. } = context;
        let samples = first_samples(train, self.samples).len();
        let Self { chunk, batch_norm, statistics_samples, .. } = *self;
        let path = PathSection { key: "probe.critical_lr", chunk, batch_norm, statistics_samples };
        let (section, path) = (self.clone(), context.path_loss(path, samples)?);
        Ok(Box::new(CriticalLrProbe { section, path, train, samples }))
    }
}

struct CriticalLrProbe<'a> {
    section: CriticalLrSection,
    path: PathLoss<'a>,
    train: &'a Subset,
    samples: usize,
}

impl Probe for CriticalLrProbe<'_> {
    fn work(&self) -> Work {
        // a guess: bracketing takes a few losses, and each halving of the bracket takes one
        let halvings = (1.0 / self.section.tolerance.get()).log2().ceil() as usize;
        let losses = halvings.saturating_add(4).min(self.section.evaluations.get());
        Work::losses(losses * self.samples, self.section.chunk.get())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let CriticalLrSection { max_alpha, evaluations, tolerance, batch_norm, .. } = self.section;
        let config = CrossingConfig {
            max_alpha: max_alpha.get() as f64,
            evaluations: evaluations.get(),
            tolerance: tolerance.get(),
        };
        let (from, to, samples) = (update.before, update.after, First(Fixed(self.train), self.samples));
        let mut between = to.clone();
        let CrossingSearch { crossing, start_loss, largest_alpha, evaluations } =
            first_crossing(config, |alpha| {
                interpolate(&from.params, &to.params, alpha, &mut between.params);
                Ok::<_, TrainError>(self.path.evaluate(&mut between, &samples)?.mean_loss())
            })?;
        let (outcome, alpha, width) = match crossing {
            Crossing::At { alpha, width } => (CriticalLrOutcome::Crossing, Some(alpha), Some(width)),
            Crossing::NoDescent => (CriticalLrOutcome::NoDescent, None, None),
            Crossing::NoCrossing => (CriticalLrOutcome::NoCrossing, None, None),
            Crossing::Undefined => (CriticalLrOutcome::Undefined, None, None),
        };
        let scaled = |alpha: Option<f64>| Measured::from(alpha.map(|alpha| alpha * update.lr));
        let row = rows::CriticalLr {
            outcome,
            critical_lr: scaled(alpha),
            bracket_width: scaled(width),
            critical_sharpness: alpha.map(|alpha| 2.0 / (alpha * update.lr)).into(),
            lr: update.lr,
            largest_alpha: largest_alpha.into(),
            start_loss: start_loss.into(),
            evaluations,
            samples: self.samples,
            train_samples: self.train.len(),
            batch_norm,
            statistics_samples: self.path.estimated_on(),
        };
        Ok(vec![row.into()])
    }
}
