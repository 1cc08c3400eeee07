//! `[probe.covariance]`: how the gradients of single samples spread (paper, Eq. 3).

use rand::seq::index::sample;
use walk_core::BatchNormMode;
use walk_core::probes::distance::distance_sq;
use walk_core::probes::moments::{Estimate, Moments};
use walk_record::rows::{GradientUnit, VarianceCheck};

use super::prelude::*;

/// tr C and ‖ḡ‖² at the point after an update, and whether E‖g_B - ḡ‖² = (1/B - 1/N) tr C. Where batch norm uses the
/// statistics of the batch, samples have no gradients of their own: tr C is then estimated from chunks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CovarianceSection {
    /// At which updates.
    pub when: Schedule,
    /// Samples that batch norm and one pass see at a time.
    #[serde(default = "super::values::gradient_chunk")]
    pub chunk: GradientChunk,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// N: number of samples used, the first of the training part's mixed order; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleCount>,
    /// Batch sizes at which Eq. 3 is checked; empty for no check.
    #[serde(default)]
    pub batch_sizes: Vec<AtLeast<1>>,
    /// Number of batches of each size.
    #[serde(default = "AtLeast::<2>::preset::<50>")]
    pub batches: AtLeast<2>,
}

impl Section for CovarianceSection {
    fn check(&self, key: &str) -> Result<(), TrainError> {
        match self.samples {
            Some(samples) if samples.get() < 2 * self.chunk.get() => {
                Err(TrainError::value(&format!("{key}.samples"), samples.get(), "at least two chunks"))
            }
            _ => Ok(()),
        }
    }

    fn probe<'a, B: Backend>(&self, context: ProbeContext<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let mean_loss = MeanLoss::new(context, self.chunk, self.batch_norm);
        Ok(Box::new(CovarianceProbe { section: self.clone(), mean_loss, seed: context.seed }))
    }
}

struct CovarianceProbe<'a, B> {
    section: CovarianceSection,
    mean_loss: MeanLoss<'a, B>,
    seed: Seed,
}

/// tr C and what it was estimated from.
struct Trace {
    estimate: Estimate,
    unit: GradientUnit,
    unit_size: usize,
    count: usize,
}

impl<B: Backend> Probe for CovarianceProbe<'_, B> {
    fn work(&self) -> Work {
        let n = first_samples(self.mean_loss.train, self.section.samples).len();
        let checked: usize = self.section.batch_sizes.iter().map(|size| size.get().min(n)).sum();
        let differentiated = 2 * n + self.section.batches.get() * checked;
        Work { differentiated, ..Work::default() }
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let point = update.after;
        let all = first_samples(self.mean_loss.train, self.section.samples);
        let grad = self.mean_loss.gradient(point, &all)?;
        let full_grad_norm_sq = dot(&grad, &grad);
        let samples_have_gradients = self.mean_loss.batch_norm == BatchNormMode::Running
            || self.mean_loss.model.network().n_buffers() == 0;
        let trace = if samples_have_gradients {
            self.by_samples(point, &all, full_grad_norm_sq)?
        } else {
            self.by_chunks(point, &all, &grad)?
        };
        let sizes = self.section.batch_sizes.iter();
        let checks = sizes.map(|size| self.check_size(update, &all, &grad, size.get(), trace.estimate.value));
        let row = rows::Covariance {
            trace: trace.estimate.value.into(),
            trace_error: trace.estimate.error.into(),
            full_grad_norm_sq: full_grad_norm_sq.into(),
            samples: all.len(),
            unit: trace.unit,
            unit_size: trace.unit_size,
            count: trace.count,
            batch_norm: self.section.batch_norm,
            checks: checks.collect::<Result<_, _>>()?,
        };
        Ok(vec![row.into()])
    }
}

impl<B: Backend> CovarianceProbe<'_, B> {
    /// tr C = N/(N-1) (mean ‖g_i‖² - ‖ḡ‖²).
    fn by_samples(&self, point: &Point, all: &[usize], full: f64) -> Result<Trace, TrainError> {
        let loss = &self.mean_loss;
        let mut sum = 0.0;
        loss.chunks(all, |batch| {
            let norms = loss.model.sample_norms_sq(point, batch, loss.batch_norm)?;
            sum += norms.iter().sum::<f64>();
            Ok::<(), TrainError>(())
        })?;
        let n = all.len() as f64;
        let estimate = Estimate { value: n / (n - 1.0) * (sum / n - full), error: 0.0 };
        Ok(Trace { estimate, unit: GradientUnit::Sample, unit_size: 1, count: all.len() })
    }

    /// Chunks are batches of a size b drawn without replacement, so that E‖g_c - ḡ‖² = (1/b - 1/N) tr C.
    fn by_chunks(&self, point: &Point, all: &[usize], grad: &[f32]) -> Result<Trace, TrainError> {
        let (loss, chunk, mut squares) = (&self.mean_loss, self.section.chunk.get(), vec![]);
        // a short chunk at the end would be of another size
        let whole = &all[..all.len() / chunk * chunk];
        loss.chunks(whole, |batch| {
            let own = loss.model.gradient(point, batch, loss.batch_norm)?.grad;
            squares.push(distance_sq(&own, grad));
            Ok::<(), TrainError>(())
        })?;
        let factor = 1.0 / chunk as f64 - 1.0 / all.len() as f64;
        let Moments { mean, standard_error, .. } = Moments::of(&squares);
        let estimate = Estimate { value: mean / factor, error: standard_error / factor };
        Ok(Trace { estimate, unit: GradientUnit::Chunk, unit_size: chunk, count: squares.len() })
    }

    fn check_size(
        &self,
        update: &Update<'_>,
        all: &[usize],
        grad: &[f32],
        size: usize,
        trace: f64,
    ) -> Result<VarianceCheck, TrainError> {
        let size = size.min(all.len());
        let mut squares = vec![];
        for index in 0..self.section.batches.get() as u64 {
            let mut rng = self.seed.rng(Stream::Covariance, [update.at.step.0, size as u64, index]);
            let drawn = sample(&mut rng, all.len(), size).into_vec();
            // the full set keeps its order, so that batch norm sees its chunks
            let drawn = if size == all.len() { all.to_vec() } else { drawn };
            squares.push(distance_sq(&self.mean_loss.gradient(update.after, &drawn)?, grad));
        }
        let Moments { mean, standard_error, .. } = Moments::of(&squares);
        Ok(VarianceCheck {
            batch_size: size,
            batches: squares.len(),
            measured: mean.into(),
            standard_error: standard_error.into(),
            predicted: ((1.0 / size as f64 - 1.0 / all.len() as f64) * trace).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use walk_core::{Fused, Loss, Model};
    use walk_data::{DataConfig, DataSet, Part};

    use super::*;
    use crate::{Ranks, Solo};

    #[test]
    fn chunks_estimate_the_trace_that_samples_give() {
        let train = Some(Part::Count(400));
        let split = DataConfig { train, ..DataConfig::new(DataSet::Digits) }.load().unwrap();
        let net = walk_arch::Net::new();
        let mut layers = net.sequential("");
        layers.push(walk_arch::flatten()).push(walk_arch::linear(10));
        let problem = walk_arch::Problem { input: vec![1, 8, 8], classes: 10 };
        let network = net.finish(layers.output()).check(&problem).unwrap();
        let model = Model::new(Fused::default(), network, Loss::CrossEntropy);
        // without batch norm both ways are open
        let section = CovarianceSection {
            when: Schedule::default(),
            chunk: GradientChunk::new(4),
            batch_norm: BatchNorm::Batch,
            samples: None,
            batch_sizes: vec![],
            batches: AtLeast::new(2),
        };
        let ranks: Arc<dyn Ranks> = Arc::new(Solo);
        let optim = crate::optim::tests::config();
        let (train, seed) = (&split.train, Seed(1));
        let context = ProbeContext { model: &model, train, optim: &optim, seed, ranks: &ranks };
        let mean_loss = MeanLoss::new(context, section.chunk, section.batch_norm);
        let probe = CovarianceProbe { section, mean_loss, seed };
        let (point, all) = (model.initial(Seed(8)), first_samples(&split.train, None));
        let grad = probe.mean_loss.gradient(&point, &all).unwrap();
        let exact = probe.by_samples(&point, &all, dot(&grad, &grad)).unwrap();
        let found = probe.by_chunks(&point, &all, &grad).unwrap();
        assert_eq!((exact.count, found.count, found.unit_size), (400, 100, 4));
        let (exact, found) = (exact.estimate, found.estimate);
        assert!((found.value - exact.value).abs() < 4.0 * found.error, "{found:?} {exact:?}");
        assert!(found.error < 0.2 * exact.value);
    }
}
