//! `[probe.covariance]`: the covariance of per-sample gradients (paper, Eq. 3).

use rand::seq::index::sample;
use walk_core::probes::covariance::trace_of_spread;
use walk_core::probes::distance::distance_sq;
use walk_core::probes::moments::{Estimate, Moments};
use walk_record::rows::{GradientUnit, VarianceCheck};

use super::prelude::*;

/// tr C and ‖ḡ‖² at the point after an update, and whether E‖g_B - ḡ‖² = (1/B - 1/N) tr C. If batch norm uses batch
/// statistics, samples have no individual gradients: tr C is then estimated from chunks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CovarianceSection {
    /// When to measure.
    pub when: Schedule,
    /// Number of samples that batch norm and one pass process at a time.
    #[serde(default = "super::values::gradient_chunk")]
    pub chunk: GradientChunk,
    /// Batch norm statistics.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// N: number of samples used, taken from the start of the mixed order; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleCount>,
    /// Batch sizes at which to check Eq. 3; empty for no check.
    #[serde(default)]
    pub batch_sizes: Vec<AtLeast<1>>,
    /// Number of batches of each size.
    #[serde(default = "AtLeast::<2>::preset::<50>")]
    pub batches: AtLeast<2>,
}

impl Section for CovarianceSection {
    fn without_effect(&self) -> Vec<Option<Unused>> {
        let is_unused = self.batch_sizes.is_empty() && self.batches != AtLeast::preset::<50>();
        vec![is_unused.then_some(("batches", "`batch_sizes` is empty"))]
    }

    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let mean_loss = MeanLoss::new(context, self.chunk, self.batch_norm);
        let samples = first_samples(context.train, self.samples).len();
        let samples_have_gradients = context.model.samples_have_gradients(mean_loss.batch_norm);
        self.check_units(samples, samples_have_gradients)?;
        for size in self.batch_sizes.iter().map(|size| size.get().min(samples)).chain([samples]) {
            context.check_chunks("probe.covariance.chunk", size, self.chunk.get(), self.batch_norm)?;
        }
        let seed = context.seed;
        Ok(Box::new(CovarianceProbe { section: self.clone(), mean_loss, seed, samples_have_gradients }))
    }
}

impl CovarianceSection {
    /// Rejects numbers of samples that give too few units for a covariance and its error.
    fn check_units(&self, samples: usize, samples_have_gradients: bool) -> Result<(), TrainError> {
        let needed = if samples_have_gradients { MIN_UNITS } else { MIN_UNITS * GradientChunk::MIN };
        if samples < needed {
            let key = if self.samples.is_some() { "probe.covariance.samples" } else { "data.train" };
            let expected = format!("at least {needed} samples for `probe.covariance`");
            return Err(TrainError::value(key, samples, expected));
        }
        if !samples_have_gradients && samples / self.chunk.get() < MIN_UNITS {
            let expected = format!(
                "at most {}, so that {samples} samples make {MIN_UNITS} chunks: with batch statistics, gradients are those of \
                 chunks",
                samples / MIN_UNITS
            );
            return Err(TrainError::value("probe.covariance.chunk", self.chunk.get(), expected));
        }
        Ok(())
    }
}

/// Units, samples or chunks, from which a covariance and its error can be estimated.
const MIN_UNITS: usize = 3;

struct CovarianceProbe<'a> {
    section: CovarianceSection,
    mean_loss: MeanLoss<'a>,
    seed: Seed,
    /// Without them, chunks take their place.
    samples_have_gradients: bool,
}

/// tr C and what it was estimated from.
#[derive(Debug)]
struct Trace {
    estimate: Estimate,
    unit: GradientUnit,
    unit_size: usize,
    count: usize,
}

/// What batches are drawn from, at an update.
#[derive(Clone, Copy)]
struct Drawn<'a> {
    all: &'a [usize],
    step: Step,
}

impl Probe for CovarianceProbe<'_> {
    fn work(&self) -> Work {
        let n = first_samples(self.mean_loss.train, self.section.samples).len();
        let checked: usize = self.section.batch_sizes.iter().map(|size| size.get().min(n)).sum();
        let differentiated = 3 * n + self.section.batches.get() * checked;
        Work { differentiated, at_once: self.mean_loss.chunk, ..Work::default() }
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let loss = &self.mean_loss.at(update.after)?;
        let all = first_samples(self.mean_loss.train, self.section.samples);
        let grad = loss.gradient(all)?;
        let full_grad_norm_sq = dot(&grad, &grad);
        let trace = if self.samples_have_gradients {
            self.by_samples(loss, all, &grad)?
        } else {
            self.by_chunks(loss, all, &grad)?
        };
        let sizes = self.section.batch_sizes.iter();
        let drawn = Drawn { all, step: update.at.step };
        let checks = sizes.map(|size| self.check_size(loss, drawn, &grad, size.get(), trace.estimate.value));
        let row = rows::Covariance {
            trace: trace.estimate.value.into(),
            trace_error: trace.estimate.error.into(),
            full_grad_norm_sq: full_grad_norm_sq.into(),
            samples: all.len(),
            train_samples: self.mean_loss.train.len(),
            unit: trace.unit,
            unit_size: trace.unit_size,
            count: trace.count,
            batch_norm: self.section.batch_norm,
            checks: checks.collect::<Result<_, _>>()?,
        };
        Ok(vec![row.into()])
    }
}

impl CovarianceProbe<'_> {
    /// tr C = N/(N-1) (mean ‖g_i‖² - ‖ḡ‖²).
    fn by_samples(&self, at: &MeanLossAt<'_>, all: &[usize], grad: &[f32]) -> Result<Trace, TrainError> {
        let (loss, full) = (&self.mean_loss, dot(grad, grad));
        let is_census = all.len() == loss.train.len();
        let (mut sum, mut squares) = (0.0, vec![]);
        loss.chunks(all, |batch| {
            let norms = at.network.sample_norms_sq(batch, loss.batch_norm)?;
            sum += norms.iter().sum::<f64>();
            if !is_census {
                // ‖g_i - ḡ‖²
                let slopes = at.network.sample_slopes(batch, grad, loss.batch_norm)?;
                squares.extend(norms.iter().zip(slopes).map(|(norm, slope)| norm - 2.0 * slope + full));
            }
            Ok::<(), TrainError>(())
        })?;
        let n = all.len() as f64;
        // of a part of a finite population, whose error vanishes as the part becomes the whole
        let left_out = (1.0 - n / loss.train.len() as f64).sqrt();
        let error = trace_of_spread(&squares).error.map(|error| left_out * error);
        let estimate = Estimate { value: n / (n - 1.0) * (sum / n - full), error };
        Ok(Trace { estimate, unit: GradientUnit::Sample, unit_size: 1, count: all.len() })
    }

    /// Chunks are batches of a size b drawn without replacement. About their own mean they spread by tr C / b, whatever the
    /// number of samples they are drawn from: the variance (1/b - 1/N) C of each, plus the covariance C/N of two.
    fn by_chunks(&self, at: &MeanLossAt<'_>, all: &[usize], grad: &[f32]) -> Result<Trace, TrainError> {
        let (loss, chunk, mut squares) = (&self.mean_loss, self.section.chunk.get(), vec![]);
        // a short chunk at the end would be of another size
        let whole = &all[..all.len() / chunk * chunk];
        let own_mean = if whole.len() == all.len() { grad.to_vec() } else { at.gradient(whole)? };
        loss.chunks(whole, |batch| {
            let own = at.network.gradient(batch, loss.batch_norm)?.grad;
            squares.push(distance_sq(&own, &own_mean));
            Ok::<(), TrainError>(())
        })?;
        let Estimate { value, error } = trace_of_spread(&squares);
        let b = chunk as f64;
        let estimate = Estimate { value: b * value, error: error.map(|error| b * error) };
        Ok(Trace { estimate, unit: GradientUnit::Chunk, unit_size: chunk, count: squares.len() })
    }

    fn check_size(
        &self,
        loss: &MeanLossAt<'_>,
        Drawn { all, step }: Drawn<'_>,
        grad: &[f32],
        size: usize,
        trace: f64,
    ) -> Result<VarianceCheck, TrainError> {
        let size = size.min(all.len());
        let mut squares = vec![];
        if size == all.len() {
            // there is one batch, whose gradient is ḡ
            squares.push(0.0);
        } else {
            for index in 0..self.section.batches.get() as u64 {
                let mut rng = self.seed.rng(Stream::Covariance, [step.0, size as u64, index]);
                let drawn: Vec<usize> = sample(&mut rng, all.len(), size).iter().map(|i| all[i]).collect();
                squares.push(distance_sq(&loss.gradient(&drawn)?, grad));
            }
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
    use std::rc::Rc;
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
        let model = Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy);
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
        let probe = CovarianceProbe { section, mean_loss, seed, samples_have_gradients: true };
        let (point, all) = (model.initial(Seed(8)), first_samples(&split.train, None));
        let loss = probe.mean_loss.at(&point).unwrap();
        let grad = loss.gradient(all).unwrap();
        let exact = probe.by_samples(&loss, all, &grad).unwrap();
        let found = probe.by_chunks(&loss, all, &grad).unwrap();
        assert_eq!((exact.count, found.count, found.unit_size), (400, 100, 4));
        let (exact, error) = (exact.estimate, found.estimate.error.unwrap());
        assert_eq!(exact.error, None);
        assert!((found.estimate.value - exact.value).abs() < 4.0 * error, "{found:?} {exact:?}");
        assert!(error < 0.2 * exact.value);
    }

    #[test]
    fn too_few_units_are_refused() {
        let section = |samples: Option<usize>, chunk| CovarianceSection {
            when: Schedule::default(),
            chunk: GradientChunk::new(chunk),
            batch_norm: BatchNorm::Batch,
            samples: samples.map(SampleCount::new),
            batch_sizes: vec![],
            batches: AtLeast::new(2),
        };
        let refused = |samples: Option<usize>, chunk, have| {
            let of_all = samples.unwrap_or(200);
            section(samples, chunk).check_units(of_all, have).unwrap_err().to_string()
        };
        assert_eq!(
            refused(None, 100, false),
            "`probe.covariance.chunk` = 100, expected at most 66, so that 200 samples make 3 chunks: with batch statistics, \
             gradients are those of chunks"
        );
        let expected = "`probe.covariance.samples` = 5, expected at least 6 samples for `probe.covariance`";
        assert_eq!(refused(Some(5), 2, false), expected);
        assert!(refused(Some(2), 2, true).contains("expected at least 3 samples"));
        section(None, 66).check_units(200, false).unwrap();
        section(Some(3), 100).check_units(3, true).unwrap();
    }
}
