//! `[probe.quadratic]`: the loss change of an update compared with its quadratic prediction.

use walk_core::probes::distance::distance_sq;

use super::prelude::*;
use crate::samples::First;

/// The change of the training loss by an update δ, and ḡ·δ and δᵀHδ at θ_t; ḡ·δ + ½ δᵀHδ is the change that a quadratic loss would have. At
/// the edge of stability, the two differ (Cohen et al., 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuadraticSection {
    /// When to measure; each measurement requires a gradient and a Hessian-vector product.
    pub when: Schedule,
    /// Number of samples, taken from the start of the mixed order; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleCount>,
    /// Number of samples that batch norm and one pass process at a time.
    #[serde(default = "super::values::gradient_chunk")]
    pub chunk: GradientChunk,
    /// Batch norm statistics; running ones are those of θ_t at both points.
    #[serde(default)]
    pub batch_norm: BatchNorm,
}

impl Section for QuadraticSection {
    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let samples = first_samples(context.train, self.samples).len();
        context.check_chunks("probe.quadratic.chunk", samples, self.chunk.get(), self.batch_norm)?;
        let mean_loss = MeanLoss::new(context, self.chunk, self.batch_norm);
        Ok(Box::new(QuadraticProbe { section: self.clone(), mean_loss, evaluator: context.evaluator() }))
    }
}

struct QuadraticProbe<'a> {
    section: QuadraticSection,
    mean_loss: MeanLoss<'a>,
    evaluator: Box<dyn Evaluator>,
}

impl Probe for QuadraticProbe<'_> {
    fn work(&self) -> Work {
        let n = first_samples(self.mean_loss.train, self.section.samples).len();
        Work { evaluated: 2 * n, differentiated: n, multiplied: n, at_once: self.mean_loss.chunk }
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let (train, chunk, mode) = (self.mean_loss.train, self.mean_loss.chunk, self.mean_loss.batch_norm);
        let all = first_samples(train, self.section.samples);
        let (before, after) = (&update.before.params, &update.after.params);
        let step: Vec<f32> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        let loss = self.mean_loss.at(update.before)?;
        let slope = dot(&loss.gradient(all)?, &step);
        let curvature = dot(&loss.hessian_vector(all, &step)?, &step);
        let samples = First(Fixed(train), all.len());
        let end = Point { params: after.clone(), buffers: update.before.buffers.clone() };
        let mut mean = |point: &Point| {
            Ok::<f64, TrainError>(self.evaluator.evaluate(point, &samples, chunk, mode)?.mean_loss())
        };
        let row = rows::Quadratic {
            change: (mean(&end)? - mean(update.before)?).into(),
            slope: slope.into(),
            curvature: curvature.into(),
            length_sq: distance_sq(after, before).into(),
            samples: all.len(),
            train_samples: train.len(),
            batch_norm: self.section.batch_norm,
        };
        Ok(vec![row.into()])
    }
}
