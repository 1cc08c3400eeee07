//! `[probe.spectrum]`: eigenvalues of the Hessian of the training loss, by Lanczos' method.

use rand::RngCore;
use walk_core::CoreError;
use walk_core::probes::lanczos::{Lanczos, LanczosConfig, lanczos};
use walk_core::probes::moments::Moments;
use walk_record::rows::Density;

use super::prelude::*;
use crate::Position;

/// The largest eigenvalues at the point after an update, the gradient's share in their eigenvectors, and with random vectors
/// the trace and the density.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpectrumSection {
    /// At which updates.
    pub when: Schedule,
    /// k: number of largest eigenvalues to find.
    #[serde(default = "AtLeast::<1>::preset::<5>")]
    pub values: AtLeast<1>,
    /// Stop once each residual is below this fraction of the largest eigenvalue.
    #[serde(default = "Fraction::thousandth")]
    pub tolerance: Fraction,
    /// Limit on the Hessian-vector products used for them.
    #[serde(default = "usual_steps")]
    pub steps: usize,
    /// Random vectors for the trace and the density.
    #[serde(default)]
    pub random_vectors: usize,
    /// Lanczos steps from each of them; 1 gives the trace alone.
    #[serde(default = "AtLeast::<1>::preset::<1>")]
    pub density_steps: AtLeast<1>,
    /// Samples that batch norm and one pass see at a time.
    #[serde(default = "super::values::gradient_chunk")]
    pub chunk: GradientChunk,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// Samples behind the Hessian, the first of the training part's mixed order; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleCount>,
}

const fn usual_steps() -> usize {
    100
}

impl Section for SpectrumSection {
    fn check(&self, key: &str) -> Result<(), TrainError> {
        if self.steps < self.values.get() {
            let expected = "at least as many as `values`";
            return Err(TrainError::value(&format!("{key}.steps"), self.steps, expected));
        }
        Ok(())
    }

    fn probe<'a, B: Backend>(&self, context: ProbeContext<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let mean_loss = MeanLoss::new(context, self.chunk, self.batch_norm);
        let ProbeContext { seed, optim, .. } = context;
        Ok(Box::new(SpectrumProbe { section: self.clone(), mean_loss, seed, lr: optim.lr, warm: None }))
    }
}

struct SpectrumProbe<'a, B> {
    section: SpectrumSection,
    mean_loss: MeanLoss<'a, B>,
    seed: Seed,
    lr: f64,
    /// The sum of the last eigenvectors found, a better start than a random vector.
    warm: Option<Vec<f32>>,
}

impl<B: Backend> Probe for SpectrumProbe<'_, B> {
    fn work(&self) -> Work {
        let SpectrumSection { steps, random_vectors, density_steps, samples, .. } = self.section;
        let n = first_samples(self.mean_loss.train, samples).len();
        // converged values take about half the steps that are allowed
        let products = steps / 2 + random_vectors * density_steps.get();
        Work { differentiated: n, multiplied: products * n, ..Work::default() }
    }

    fn memory(&self) -> Memory {
        Memory::default().with("warm", self.warm.clone().map(Values::F32))
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        self.warm = memory.f32s("warm", self.mean_loss.model.network().n_params())?;
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let (at, point) = (update.at, update.after);
        let section = &self.section;
        let samples = first_samples(self.mean_loss.train, section.samples);
        let product = |v: &[f32]| self.mean_loss.hessian_vector(point, &samples, v);
        let grad = self.mean_loss.gradient(point, &samples)?;
        let grad_norm_sq = dot(&grad, &grad);

        let mut start = self.signs(at, 0);
        if let Some(warm) = &self.warm {
            // a small random part, for directions that were not among the last ones
            let share = 0.1 / (start.len() as f32).sqrt();
            start.iter_mut().zip(warm).for_each(|(start, warm)| *start = share * *start + warm);
        }
        let config = LanczosConfig {
            steps: section.steps,
            values: section.values.get(),
            tolerance: section.tolerance.get(),
        };
        let top = lanczos(config, &start, product)?;
        let k = section.values.get().min(top.values.len());
        let vectors: Vec<Vec<f32>> = (0..k).map(|index| top.vector(index)).collect();
        let inside: f64 = vectors.iter().map(|vector| dot(vector, &grad).powi(2)).sum();
        let config = LanczosConfig { steps: section.density_steps.get(), values: 0, tolerance: 0.0 };
        let random = (1..=section.random_vectors as u64)
            .map(|index| lanczos(config, &self.signs(at, index), product))
            .collect::<Result<Vec<Lanczos>, CoreError>>()?;
        let products = top.steps() + random.iter().map(Lanczos::steps).sum::<usize>();
        // vᵀHv of a vector of signs, of length √P
        let form = |run: &Lanczos| {
            grad.len() as f64 * run.values.iter().zip(&run.weights).map(|(x, w)| x * w).sum::<f64>()
        };
        let forms: Vec<f64> = random.iter().map(form).collect();
        let trace = (!forms.is_empty()).then(|| Moments::of(&forms).estimate());
        let density = (section.random_vectors > 0 && section.density_steps.get() > 1).then(|| Density {
            nodes: random.iter().map(|run| measured(&run.values)).collect(),
            weights: random.iter().map(|run| measured(&run.weights)).collect(),
        });
        let last = top.values.len() - 1;
        let row = rows::Spectrum {
            values: measured(&top.values[..k]),
            residuals: measured(&top.residuals[..k]),
            smallest: top.values[last].into(),
            smallest_residual: top.residuals[last].into(),
            products,
            grad_norm_sq: grad_norm_sq.into(),
            gradient_share: if grad_norm_sq > 0.0 { inside / grad_norm_sq } else { 0.0 }.into(),
            trace: trace.map(|trace| trace.value).into(),
            trace_error: trace.map(|trace| trace.error).into(),
            density,
            two_over_lr: 2.0 / self.lr,
            samples: samples.len(),
            batch_norm: section.batch_norm,
        };
        let mut sum = vec![0.0; grad.len()];
        for vector in &vectors {
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
        }
        self.warm = Some(sum);
        Ok(vec![row.into()])
    }
}

impl<B: Backend> SpectrumProbe<'_, B> {
    /// A vector of random signs.
    fn signs(&self, at: Position, index: u64) -> Vec<f32> {
        let mut rng = self.seed.rng(Stream::Spectrum, [at.step.0, index]);
        let n = self.mean_loss.model.network().n_params();
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
