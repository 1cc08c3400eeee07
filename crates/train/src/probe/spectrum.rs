//! `[probe.spectrum]`: eigenvalues of the Hessian of the training loss, by Lanczos' method.

use rand::RngCore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::probes::{Lanczos, LanczosConfig, lanczos};
use walk_core::{Backend, BatchNormMode, CoreError, Seed, Stream, dot};
use walk_record::{Density, Row, SpectrumRow, Values};

use super::moments::Moments;
use super::surface::{Surface, first_samples, mode_name};
use super::{Context, Memory, Probe, Section, Work};
use crate::{Position, Schedule, TrainError, Update};

/// The largest eigenvalues at the point after an update, the gradient's share in their eigenvectors, and with random vectors
/// the trace and the density.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpectrumSection {
    /// At which updates.
    pub when: Schedule,
    /// k: largest eigenvalues wanted.
    #[serde(default = "usual_values")]
    pub values: usize,
    /// Enough once each residual is below this share of the largest eigenvalue.
    #[serde(default = "usual_tolerance")]
    pub tolerance: f64,
    /// Most products with the Hessian for them.
    #[serde(default = "usual_steps")]
    pub steps: usize,
    /// Random vectors for the trace and the density.
    #[serde(default)]
    pub random_vectors: usize,
    /// Lanczos steps from each of them; 1 gives the trace alone.
    #[serde(default = "one")]
    pub density_steps: usize,
    /// Samples that batch norm and one pass see at a time.
    #[serde(default = "super::paper_chunk")]
    pub chunk: usize,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNormMode,
    /// Samples behind the Hessian, the first of the training part; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
}

const fn usual_values() -> usize {
    5
}

const fn usual_tolerance() -> f64 {
    1e-3
}

const fn usual_steps() -> usize {
    100
}

const fn one() -> usize {
    1
}

impl Section for SpectrumSection {
    fn when(&self) -> &Schedule {
        &self.when
    }

    fn check(&self, key: &str) -> Result<(), TrainError> {
        let refuse = |name: &str, found: String, expected: &str| {
            Err(TrainError::value(&format!("{key}.{name}"), found, expected))
        };
        for (name, value) in [("values", self.values), ("density_steps", self.density_steps)] {
            if value == 0 {
                return refuse(name, "0".into(), "at least 1");
            }
        }
        if self.steps < self.values {
            return refuse("steps", self.steps.to_string(), "at least as many as `values`");
        }
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            return refuse("tolerance", self.tolerance.to_string(), "a number between 0 and 1");
        }
        if self.chunk < 2 {
            return refuse("chunk", self.chunk.to_string(), "at least 2: batch norm wants a variance");
        }
        if self.samples == Some(0) { refuse("samples", "0".into(), "at least 1") } else { Ok(()) }
    }

    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let Context { model, train, seed, optim, ranks } = context;
        let surface = Surface { model, train, chunk: self.chunk, batch_norm: self.batch_norm, ranks };
        Ok(Box::new(SpectrumProbe { section: self.clone(), surface, seed, lr: optim.lr, warm: None }))
    }
}

struct SpectrumProbe<'a, B> {
    section: SpectrumSection,
    surface: Surface<'a, B>,
    seed: Seed,
    lr: f64,
    /// The sum of the last eigenvectors found: nearer to the next ones than chance.
    warm: Option<Vec<f32>>,
}

impl<B: Backend> Probe for SpectrumProbe<'_, B> {
    fn is_due(&self, at: Position) -> bool {
        self.section.when.includes(at)
    }

    fn work(&self) -> Work {
        let SpectrumSection { steps, random_vectors, density_steps, samples, .. } = self.section;
        let n = first_samples(self.surface.train, samples).len();
        // converged values take about half the steps that are allowed
        let products = steps / 2 + random_vectors * density_steps;
        Work { differentiated: n, multiplied: products * n, ..Work::default() }
    }

    fn memory(&self) -> Memory {
        match self.warm.clone() {
            Some(warm) => Memory::default().with("warm", Values::F32(warm)),
            None => Memory::default(),
        }
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        self.warm = memory.f32s("warm", self.surface.model.network().n_params())?;
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let (at, point) = (update.at, update.after);
        let section = &self.section;
        let samples = first_samples(self.surface.train, section.samples);
        let product = |v: &[f32]| self.surface.hessian_vector(point, &samples, v);
        let grad = self.surface.gradient(point, &samples)?;
        let grad_norm_sq = dot(&grad, &grad);
        TrainError::check_finite("the full gradient's norm", grad_norm_sq, at)?;

        let mut start = self.signs(at, 0);
        if let Some(warm) = &self.warm {
            // a little of everything, for directions that were not among the last ones
            let share = 0.1 / (start.len() as f32).sqrt();
            start.iter_mut().zip(warm).for_each(|(start, warm)| *start = share * *start + warm);
        }
        let config =
            LanczosConfig { steps: section.steps, values: section.values, tolerance: section.tolerance };
        let top = lanczos(config, &start, product)?;
        TrainError::check_finite("an eigenvalue of the Hessian", top.values[0], at)?;
        let k = section.values.min(top.values.len());
        let vectors: Vec<Vec<f32>> = (0..k).map(|index| top.vector(index)).collect();
        let inside: f64 = vectors.iter().map(|vector| dot(vector, &grad).powi(2)).sum();
        let mut products = top.steps();
        let random: Vec<Lanczos> = (1..=section.random_vectors as u64)
            .map(|index| {
                let config = LanczosConfig { steps: section.density_steps, values: 0, tolerance: 0.0 };
                lanczos(config, &self.signs(at, index), product)
            })
            .collect::<Result<_, CoreError>>()?;
        products += random.iter().map(Lanczos::steps).sum::<usize>();
        // vᵀHv of a vector of signs, of length √P
        let forms: Vec<f64> = random
            .iter()
            .map(|run| {
                grad.len() as f64 * run.values.iter().zip(&run.weights).map(|(x, w)| x * w).sum::<f64>()
            })
            .collect();
        let trace = (!forms.is_empty()).then(|| {
            let Moments { mean, standard_error, .. } = Moments::of(&forms);
            [mean, standard_error]
        });
        let density = (section.random_vectors > 0 && section.density_steps > 1).then(|| Density {
            nodes: random.iter().map(|run| run.values.clone()).collect(),
            weights: random.iter().map(|run| run.weights.clone()).collect(),
        });
        let last = top.values.len() - 1;
        let row = SpectrumRow {
            epoch: at.epoch,
            iteration: at.iteration,
            step: at.step.0,
            values: top.values[..k].to_vec(),
            residuals: top.residuals[..k].to_vec(),
            smallest: [top.values[last], top.residuals[last]],
            products,
            grad_norm_sq,
            gradient_share: if grad_norm_sq > 0.0 { inside / grad_norm_sq } else { 0.0 },
            trace,
            density,
            two_over_lr: 2.0 / self.lr,
            samples: samples.len(),
            batch_norm: mode_name(section.batch_norm),
        };
        let mut sum = vec![0.0; grad.len()];
        for vector in &vectors {
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
        }
        self.warm = Some(sum);
        Ok(vec![Row::Spectrum(row)])
    }
}

impl<B: Backend> SpectrumProbe<'_, B> {
    /// A vector of random signs.
    fn signs(&self, at: Position, index: u64) -> Vec<f32> {
        let mut rng = self.seed.rng(Stream::Probe, at.step.0, (1 << 62) | index);
        let n = self.surface.model.network().n_params();
        let mut signs = Vec::with_capacity(n);
        while signs.len() < n {
            let bits = rng.next_u64();
            signs.extend(
                (0..64.min(n - signs.len())).map(|bit| if bits >> bit & 1 == 1 { 1.0 } else { -1.0 }),
            );
        }
        signs
    }
}
