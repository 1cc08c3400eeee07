//! `[probe.alignment]`: gᵀHg / gᵀg of mini-batch gradients (paper, Eq. 4), by batch size.

use rand::seq::index::sample;
use walk_core::probes::alignment::{BatchProducts, GradientProducts, predicted_ratio};
use walk_core::probes::moments::{Estimate, Moments};
use walk_record::rows::HessianOf;

use super::prelude::*;

/// Alignment of the gradients of batches of several sizes with the Hessian: n batches of each size, drawn without replacement,
/// at the point after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlignmentSection {
    /// When to measure; each measurement requires `batches` Hessian-vector products per batch size.
    pub when: Schedule,
    /// Batch sizes B, in the order measured; a size larger than the training set means the whole set, which is a single batch.
    #[serde(default = "paper_sizes")]
    pub batch_sizes: Vec<AtLeast<1>>,
    /// n: maximum number of batches of each size.
    #[serde(default = "AtLeast::<1>::preset::<50>")]
    pub batches: AtLeast<1>,
    /// Number of samples that batch norm and one pass process at a time; larger batches are split.
    #[serde(default = "super::values::gradient_chunk")]
    pub chunk: GradientChunk,
    /// Batch norm statistics.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// The loss of which to use the Hessian.
    #[serde(default)]
    pub hessian: HessianOf,
    /// Number of samples for the Hessian of the full loss, taken from the start of the mixed order; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hessian_samples: Option<SampleCount>,
    /// Stop once the standard error is below this fraction of the mean; 0 to draw all `batches`.
    #[serde(default)]
    pub relative_error: f64,
}

fn paper_sizes() -> Vec<AtLeast<1>> {
    [100, 1000, 10_000, 45_000].map(AtLeast::new).into()
}

impl Section for AlignmentSection {
    fn check(&self, key: &str, _updates: u64) -> Result<(), TrainError> {
        if self.batch_sizes.is_empty() {
            return Err(TrainError::value(&format!("{key}.batch_sizes"), "[]", "at least one batch size"));
        }
        if !(0.0..1.0).contains(&self.relative_error) {
            let (key, expected) = (format!("{key}.relative_error"), "a number of at least 0 and below 1");
            return Err(TrainError::value(&key, self.relative_error, expected));
        }
        Ok(())
    }

    fn without_effect(&self) -> Vec<Option<Unused>> {
        let is_unused = self.hessian == HessianOf::Batch && self.hessian_samples.is_some();
        vec![is_unused.then_some(("hessian_samples", "each batch has its own Hessian"))]
    }

    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let ProbeContext { seed, optim, train, .. } = context;
        let sizes = self.batch_sizes.iter().chain(&self.hessian_samples).map(|size| size.get());
        for samples in sizes.chain([train.len()]) {
            let samples = samples.min(train.len());
            context.check_chunks("probe.alignment.chunk", samples, self.chunk.get(), self.batch_norm)?;
        }
        let mean_loss = MeanLoss::new(context, self.chunk, self.batch_norm);
        Ok(Box::new(AlignmentProbe { section: self.clone(), mean_loss, seed, optim }))
    }
}

struct AlignmentProbe<'a> {
    section: AlignmentSection,
    mean_loss: MeanLoss<'a>,
    seed: Seed,
    optim: &'a OptimConfig,
}

impl Probe for AlignmentProbe<'_> {
    fn work(&self) -> Work {
        let (n, batches) = (self.mean_loss.train.len(), self.section.batches.get());
        let hessian = self.hessian_samples().len();
        let sampled = self.sizes().into_iter().filter(|&size| size < n);
        let at_once = self.mean_loss.chunk;
        let of_size = |size: usize| {
            let multiplied = if self.section.hessian == HessianOf::Full { hessian } else { size };
            Work { differentiated: size, multiplied, at_once, ..Work::default() }.times(batches)
        };
        let full = Work { differentiated: n, multiplied: hessian, at_once, ..Work::default() };
        sampled.map(of_size).fold(full, Work::plus)
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let loss = self.mean_loss.at(update.after)?;
        let full = self.products(&loss, self.mean_loss.train.mixed())?;
        let found: Vec<BatchProducts> = self
            .sizes()
            .into_iter()
            .map(|size| self.batches(&loss, update.at.step, size, full))
            .collect::<Result<_, _>>()?;
        let thresholds = Thresholds::of_hessian(self.optim, self.mean_loss.train.len(), update.lr);
        let rows = found.iter().enumerate().map(|(index, own)| {
            let others: Vec<&BatchProducts> = found
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .map(|(_, other)| other)
                .collect();
            let predicted = match self.section.hessian {
                HessianOf::Full => predicted_ratio(full, own.factor, &others),
                HessianOf::Batch => None,
            };
            self.row(own, predicted, thresholds).into()
        });
        Ok(rows.collect())
    }
}

impl AlignmentProbe<'_> {
    /// The batch sizes, at most the number of samples; each once.
    fn sizes(&self) -> Vec<usize> {
        let n = self.mean_loss.train.len();
        let clipped = self.section.batch_sizes.iter().map(|size| size.get().min(n));
        clipped.fold(vec![], |mut sizes, size| {
            if !sizes.contains(&size) {
                sizes.push(size);
            }
            sizes
        })
    }

    /// The samples used for the Hessian of the full loss.
    fn hessian_samples(&self) -> &[usize] {
        first_samples(self.mean_loss.train, self.section.hessian_samples)
    }

    /// gᵀHg and gᵀg for the gradient g of the mean loss of `drawn`.
    fn products(&self, loss: &MeanLossAt<'_>, drawn: &[usize]) -> Result<GradientProducts, TrainError> {
        let grad = loss.gradient(drawn)?;
        let product = match self.section.hessian {
            HessianOf::Full => loss.hessian_vector(self.hessian_samples(), &grad)?,
            HessianOf::Batch => loss.hessian_vector(drawn, &grad)?,
        };
        Ok(GradientProducts { curvature: dot(&grad, &product), norm_sq: dot(&grad, &grad) })
    }

    /// Batches of one size, until their standard error is small enough.
    fn batches(
        &self,
        loss: &MeanLossAt<'_>,
        step: Step,
        size: usize,
        full: GradientProducts,
    ) -> Result<BatchProducts, TrainError> {
        let n = self.mean_loss.train.len();
        let mut batches = vec![];
        let factor = 1.0 / size as f64 - 1.0 / n as f64;
        if size == n {
            // there is only one batch
            return Ok(BatchProducts { size, factor, batches: vec![full] });
        }
        for index in 0..self.section.batches.get() as u64 {
            let mut rng = self.seed.rng(Stream::Alignment, [step.0, size as u64, index]);
            let products = self.products(loss, &sample(&mut rng, n, size).into_vec())?;
            batches.push(products);
            let Moments { mean, standard_error, .. } = moments_of_ratios(&batches);
            let enough = self.section.relative_error * mean.abs();
            if batches.len() > 2 && standard_error.is_some_and(|error| error < enough) {
                break;
            }
        }
        Ok(BatchProducts { size, factor, batches })
    }

    fn row(
        &self,
        own: &BatchProducts,
        predicted: Option<Estimate>,
        thresholds: Thresholds,
    ) -> rows::Alignment {
        let ratios: Vec<f64> = own.batches.iter().map(|products| products.ratio()).collect();
        let squares: Vec<f64> = own.batches.iter().map(|products| products.norm_sq).collect();
        let Moments { mean, deviation, standard_error, .. } = moments_of_ratios(&own.batches);
        let ratio_of_means = own.ratio_of_means();
        rows::Alignment {
            batch_size: own.size,
            batches: ratios.len(),
            mean: mean.into(),
            deviation: deviation.into(),
            standard_error: standard_error.into(),
            ratio_of_means: ratio_of_means.value.into(),
            ratio_of_means_error: ratio_of_means.error.into(),
            predicted: predicted.map(|predicted| predicted.value).into(),
            predicted_error: predicted.and_then(|predicted| predicted.error).into(),
            grad_norm_sq: Moments::of(&squares).mean.into(),
            stability_threshold: thresholds.stability.into(),
            small_batch_plateau: thresholds.small_batch.into(),
            hessian: self.section.hessian,
            hessian_samples: match self.section.hessian {
                HessianOf::Full => self.hessian_samples().len(),
                HessianOf::Batch => own.size,
            },
            train_samples: self.mean_loss.train.len(),
            ratios: measured(&ratios),
        }
    }
}

/// Mean and spread of gᵀHg / gᵀg over the batches with a nonzero gradient.
fn moments_of_ratios(batches: &[GradientProducts]) -> Moments {
    let with_direction = batches.iter().filter(|products| products.norm_sq != 0.0);
    Moments::of(&with_direction.map(|products| products.ratio()).collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_of_zero_has_no_ratio_and_leaves_the_others_theirs() {
        let zero = GradientProducts { curvature: 0.0, norm_sq: 0.0 };
        let others = [1.0, 3.0].map(|curvature| GradientProducts { curvature, norm_sq: 1.0 });
        let moments = |batches: &[GradientProducts]| moments_of_ratios(batches);
        assert_eq!(moments(&[others[0], zero, others[1]]), moments(&others));
        assert!(moments(&[zero]).mean.is_nan() && moments(&[zero]).deviation.is_none());
        // values that overflow are included: without them, the mean would be too small
        let huge = GradientProducts { curvature: f64::INFINITY, norm_sq: 1.0 };
        assert!(!moments(&[others[0], huge]).mean.is_finite());
    }
}
