//! `[probe.covariance]`: how the gradients of single samples spread (paper, Eq. 3).

use rand::seq::index::sample;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::{Backend, BatchNormMode, Point, Seed, Stream, dot};
use walk_record::{CovarianceRow, Row, VarianceCheck};

use super::distance::distance_sq;
use super::moments::Moments;
use super::surface::{Surface, first_samples, mode_name};
use super::{Context, Probe, Section, Work};
use crate::{Position, Schedule, TrainError, Update};

/// tr C and ‖ḡ‖² at the point after an update, and whether E‖g_B - ḡ‖² = (1/B - 1/N) tr C. With batch statistics chunks take
/// the place of samples: C is then what chunks of that size say of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CovarianceSection {
    /// At which updates.
    pub when: Schedule,
    /// Samples that batch norm and one pass see at a time.
    #[serde(default = "super::paper_chunk")]
    pub chunk: usize,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNormMode,
    /// N: samples behind it, the first of the training part; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// B of the batches that Eq. 3 is checked with; none for no check.
    #[serde(default)]
    pub batch_sizes: Vec<usize>,
    /// Batches of each size.
    #[serde(default = "paper_batches")]
    pub batches: usize,
}

const fn paper_batches() -> usize {
    50
}

impl Section for CovarianceSection {
    fn when(&self) -> &Schedule {
        &self.when
    }

    fn check(&self, key: &str) -> Result<(), TrainError> {
        let refuse = |name: &str, found: String, expected: &str| {
            Err(TrainError::value(&format!("{key}.{name}"), found, expected))
        };
        if self.chunk < 2 {
            return refuse("chunk", self.chunk.to_string(), "at least 2: batch norm wants a variance");
        }
        if self.samples.is_some_and(|samples| samples < 2 * self.chunk) {
            let found = self.samples.unwrap_or_default().to_string();
            return refuse("samples", found, "at least two chunks");
        }
        if self.batch_sizes.contains(&0) {
            return refuse("batch_sizes", format!("{:?}", self.batch_sizes), "numbers of at least 1");
        }
        if self.batches < 2 { refuse("batches", self.batches.to_string(), "at least 2") } else { Ok(()) }
    }

    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let Context { model, train, seed, ranks, .. } = context;
        let surface = Surface { model, train, chunk: self.chunk, batch_norm: self.batch_norm, ranks };
        Ok(Box::new(CovarianceProbe { section: self.clone(), surface, seed }))
    }
}

struct CovarianceProbe<'a, B> {
    section: CovarianceSection,
    surface: Surface<'a, B>,
    seed: Seed,
}

/// tr C, its standard error, and what it was taken from.
struct Trace {
    value: f64,
    error: f64,
    unit_size: usize,
    count: usize,
}

impl<B: Backend> Probe for CovarianceProbe<'_, B> {
    fn is_due(&self, at: Position) -> bool {
        self.section.when.includes(at)
    }

    fn work(&self) -> Work {
        let n = first_samples(self.surface.train, self.section.samples).len();
        let checked: usize = self.section.batch_sizes.iter().map(|&size| size.min(n)).sum();
        Work { differentiated: 2 * n + self.section.batches * checked, ..Work::default() }
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let (at, point) = (update.at, update.after);
        let all = first_samples(self.surface.train, self.section.samples);
        let grad = self.surface.gradient(point, &all)?;
        let full_grad_norm_sq = dot(&grad, &grad);
        TrainError::check_finite("the full gradient's norm", full_grad_norm_sq, at)?;
        let of_samples = self.section.batch_norm == BatchNormMode::Running
            || self.surface.model.network().n_buffers() == 0;
        let trace = if of_samples {
            self.by_samples(point, &all, full_grad_norm_sq)?
        } else {
            self.by_chunks(point, &all, &grad)?
        };
        TrainError::check_finite("the trace of the gradients' covariance", trace.value, at)?;
        let checks = self
            .section
            .batch_sizes
            .iter()
            .map(|&size| self.check_size(update, &all, &grad, size, trace.value));
        Ok(vec![Row::Covariance(CovarianceRow {
            epoch: at.epoch,
            iteration: at.iteration,
            step: at.step.0,
            trace: trace.value,
            trace_error: trace.error,
            full_grad_norm_sq,
            samples: all.len(),
            unit: if of_samples { "sample".into() } else { "chunk".into() },
            unit_size: trace.unit_size,
            count: trace.count,
            batch_norm: mode_name(self.section.batch_norm),
            checks: checks.collect::<Result<_, _>>()?,
        })])
    }
}

impl<B: Backend> CovarianceProbe<'_, B> {
    /// tr C = N/(N-1) (mean ‖g_i‖² - ‖ḡ‖²).
    fn by_samples(&self, point: &Point, all: &[usize], full: f64) -> Result<Trace, TrainError> {
        let surface = &self.surface;
        let mut sum = 0.0;
        surface.chunks(all, |batch| {
            let norms = surface.model.sample_norms_sq(point, batch, self.section.batch_norm)?;
            sum += norms.iter().sum::<f64>();
            Ok::<(), TrainError>(())
        })?;
        let n = all.len() as f64;
        Ok(Trace { value: n / (n - 1.0) * (sum / n - full), error: 0.0, unit_size: 1, count: all.len() })
    }

    /// Chunks are batches of a size b drawn without replacement, so that E‖g_c - ḡ‖² = (1/b - 1/N) tr C.
    fn by_chunks(&self, point: &Point, all: &[usize], grad: &[f32]) -> Result<Trace, TrainError> {
        let (surface, chunk, mut squares) = (&self.surface, self.section.chunk, vec![]);
        // a short chunk at the end would be of another size
        let whole = &all[..all.len() / chunk * chunk];
        surface.chunks(whole, |batch| {
            let own = surface.model.gradient(point, batch, self.section.batch_norm)?.grad;
            squares.push(distance_sq(&own, grad));
            Ok::<(), TrainError>(())
        })?;
        let factor = 1.0 / chunk as f64 - 1.0 / all.len() as f64;
        let Moments { mean, standard_error, .. } = Moments::of(&squares);
        Ok(Trace {
            value: mean / factor,
            error: standard_error / factor,
            unit_size: chunk,
            count: squares.len(),
        })
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
        for index in 0..self.section.batches as u64 {
            // streams of other probes have other highest bits
            let stream = (1 << 61) | ((size as u64) << 24) | index;
            let mut rng = self.seed.rng(Stream::Probe, update.at.step.0, stream);
            let drawn = sample(&mut rng, all.len(), size).into_vec();
            // of the whole set the order is its own: batch norm sees its chunks
            let drawn = if size == all.len() { all.to_vec() } else { drawn };
            squares.push(distance_sq(&self.surface.gradient(update.after, &drawn)?, grad));
        }
        let Moments { mean, standard_error, .. } = Moments::of(&squares);
        Ok(VarianceCheck {
            batch_size: size,
            batches: squares.len(),
            measured: mean,
            standard_error,
            predicted: (1.0 / size as f64 - 1.0 / all.len() as f64) * trace,
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
            chunk: 4,
            batch_norm: BatchNormMode::Batch,
            samples: None,
            batch_sizes: vec![],
            batches: 2,
        };
        let ranks: Arc<dyn Ranks> = Arc::new(Solo);
        let surface = Surface {
            model: &model,
            train: &split.train,
            chunk: 4,
            batch_norm: section.batch_norm,
            ranks: &ranks,
        };
        let probe = CovarianceProbe { section, surface, seed: Seed(1) };
        let (point, all) = (model.initial(Seed(8)), first_samples(&split.train, None));
        let grad = probe.surface.gradient(&point, &all).unwrap();
        let exact = probe.by_samples(&point, &all, dot(&grad, &grad)).unwrap();
        let found = probe.by_chunks(&point, &all, &grad).unwrap();
        assert_eq!((exact.count, found.count, found.unit_size), (400, 100, 4));
        assert!((found.value - exact.value).abs() < 4.0 * found.error, "{} {}", found.value, exact.value);
        assert!(found.error < 0.2 * exact.value);
    }
}
