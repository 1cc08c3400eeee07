//! `[probe.spectrum]`: eigenvalues of the Hessian of the training loss, by the Lanczos method.

use rand::RngCore;
use walk_core::CoreError;
use walk_core::probes::lanczos::{
    self, Largest, LargestConfig, Quadrature, largest_eigenpairs, quadrature, random_direction,
};
use walk_core::probes::moments::{Estimate, Moments};
use walk_record::Measured;
use walk_record::rows::{Completeness, Density, Subsets};

use super::prelude::*;

/// The largest eigenvalues at the point after an update, the gradient's share in the span of their eigenvectors, and, with
/// random vectors, the trace and the density.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpectrumSection {
    /// When to measure.
    pub when: Schedule,
    /// k: number of largest eigenvalues to find, counted with multiplicity.
    #[serde(default = "AtLeast::<1>::preset::<5>")]
    pub values: AtLeast<1>,
    /// Stop when each residual is below this fraction of the largest eigenvalue, and no eigenvalue left out can exceed the
    /// smallest of those found by more than that.
    #[serde(default = "Fraction::thousandth")]
    pub tolerance: Fraction,
    /// Maximum number of Hessian-vector products for them in each subset. The last run, which looks for missing eigenvalues,
    /// takes about as many as finding only the largest one.
    #[serde(default = "usual_steps")]
    pub steps: usize,
    /// Number of random vectors for the trace and the density.
    #[serde(default)]
    pub random_vectors: usize,
    /// Number of Lanczos steps from each of them; 1 gives only the trace.
    #[serde(default = "AtLeast::<1>::preset::<1>")]
    pub density_steps: AtLeast<1>,
    /// Number of samples that batch norm and one pass process at a time.
    #[serde(default = "super::values::gradient_chunk")]
    pub chunk: GradientChunk,
    /// Batch norm statistics.
    #[serde(default)]
    pub batch_norm: BatchNorm,
    /// Number of samples for the Hessian, taken from the start of the mixed order; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleCount>,
    /// Number of disjoint subsets of `samples` samples whose largest eigenvalues are measured, which shows how much they differ
    /// between subsets; with 1, this is unknown. Everything else is measured on the first subset.
    #[serde(default = "AtLeast::<1>::preset::<1>")]
    pub subsets: AtLeast<1>,
}

const fn usual_steps() -> usize {
    200
}

impl Section for SpectrumSection {
    fn check(&self, key: &str) -> Result<(), TrainError> {
        if self.steps < self.values.get() {
            let expected = "at least as many as `values`";
            return Err(TrainError::value(&format!("{key}.steps"), self.steps, expected));
        }
        if self.subsets.get() > 1 && self.samples.is_none() {
            let expected = "1: `samples`, the size of a subset, is not set, so there is only one subset";
            return Err(TrainError::value(&format!("{key}.subsets"), self.subsets.get(), expected));
        }
        Ok(())
    }

    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let (most, size) = (context.train.len(), self.samples.map_or(0, SampleCount::get));
        if self.subsets.get().saturating_mul(size) > most && self.subsets.get() > 1 {
            let expected = format!(
                "at most {}, the number of subsets of {size} that fit in {most} samples",
                most / size
            );
            return Err(TrainError::value("probe.spectrum.subsets", self.subsets.get(), expected));
        }
        let samples = first_samples(context.train, self.samples).len();
        context.check_chunks("probe.spectrum.chunk", samples, self.chunk.get(), self.batch_norm)?;
        let mean_loss = MeanLoss::new(context, self.chunk, self.batch_norm);
        let ProbeContext { seed, optim, .. } = context;
        Ok(Box::new(SpectrumProbe { section: self.clone(), mean_loss, seed, optim, warm: None }))
    }
}

struct SpectrumProbe<'a> {
    section: SpectrumSection,
    mean_loss: MeanLoss<'a>,
    seed: Seed,
    optim: &'a OptimConfig,
    /// The sum of the last eigenvectors found, a better start than a random vector.
    warm: Option<Vec<f32>>,
}

/// A subset of the training part at an update.
struct At<'a> {
    loss: &'a MeanLossAt<'a>,
    step: u64,
    subset: u64,
    samples: &'a [usize],
}

impl Probe for SpectrumProbe<'_> {
    fn work(&self) -> Work {
        let SpectrumSection { steps, random_vectors, density_steps, samples, subsets, .. } = self.section;
        let n = first_samples(self.mean_loss.train, samples).len();
        // values that converge and are verified take about a third of the allowed products
        let products = subsets.get() * (steps / 3) + random_vectors * density_steps.get();
        let at_once = self.mean_loss.chunk;
        Work { differentiated: n, multiplied: products * n, at_once, ..Work::default() }
    }

    fn memory(&self) -> Memory {
        Memory::default().with("warm", self.warm.clone().map(Values::F32))
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        self.warm = memory.f32s("warm", self.mean_loss.model.network().n_params())?;
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let section = &self.section;
        let (loss, step) = (&self.mean_loss.at(update.after)?, update.at.step.0);
        let train = self.mean_loss.train;
        let count = section.subsets.get();
        let all = first_samples(train, section.samples.map(|size| SampleCount::new(size.get() * count)));
        let subsets: Vec<&[usize]> = all.chunks(all.len() / count).take(count).collect();
        let largest = |(subset, &samples): (usize, &&[usize])| {
            self.largest(&At { loss, step, subset: subset as u64, samples })
        };
        let found: Vec<Largest> = subsets.iter().enumerate().map(largest).collect::<Result<_, _>>()?;
        let (top, samples) = (&found[0], subsets[0]);
        let grad = loss.gradient(samples)?;
        let grad_norm_sq = dot(&grad, &grad);
        let inside = top.pairs.iter().fold(0.0, |sum, pair| sum + dot(&pair.vector, &grad).powi(2));
        let is_defined = top.completeness != lanczos::Completeness::Undefined;
        let product = |v: &[f32]| loss.hessian_vector(samples, v);
        let random = (1..=section.random_vectors as u64)
            .map(|index| quadrature(section.density_steps.get(), &self.signs(step, index), product))
            .collect::<Result<Vec<Quadrature>, CoreError>>()?;
        let products = found.iter().map(|found| found.products).sum::<usize>()
            + random.iter().map(|run| run.products).sum::<usize>();
        let forms: Vec<f64> = random.iter().map(|run| run.form).collect();
        let Estimate { value: trace, error: trace_error } = Moments::of(&forms).estimate();
        let density = (section.random_vectors > 0 && section.density_steps.get() > 1).then(|| Density {
            nodes: random.iter().map(|run| measured(&run.nodes)).collect(),
            weights: random.iter().map(|run| measured(&run.weights)).collect(),
        });
        let thresholds = Thresholds::of_hessian(self.optim, train.len(), update.lr);
        let values: Vec<Vec<Measured>> = found.iter().map(|found| self.values(found)).collect();
        let residuals: Vec<f64> = top.pairs.iter().map(|pair| pair.residual).collect();
        let row = rows::Spectrum {
            residuals: if is_defined { measured(&residuals) } else { values[0].clone() },
            asked: section.values.get(),
            completeness: completeness(top.completeness),
            smallest: top.smallest.value.into(),
            smallest_residual: top.smallest.residual.into(),
            products,
            grad_norm_sq: grad_norm_sq.into(),
            gradient_share: (is_defined && grad_norm_sq > 0.0).then(|| inside / grad_norm_sq).into(),
            trace: trace.into(),
            trace_error: trace_error.into(),
            density,
            stability_threshold: thresholds.stability.into(),
            small_batch_plateau: thresholds.small_batch.into(),
            samples: samples.len(),
            train_samples: train.len(),
            values: values[0].clone(),
            subsets: (count > 1).then(|| spread(values)),
            batch_norm: section.batch_norm,
        };
        let mut sum = vec![0.0; grad.len()];
        for pair in &top.pairs {
            sum.iter_mut().zip(&pair.vector).for_each(|(sum, x)| *sum += x);
        }
        self.warm = (!top.pairs.is_empty()).then_some(sum);
        Ok(vec![row.into()])
    }
}

impl SpectrumProbe<'_> {
    /// The largest eigenvalues of a subset's Hessian.
    fn largest(&self, at: &At<'_>) -> Result<Largest, CoreError> {
        let n = self.mean_loss.model.network().n_params();
        let mut run = 0;
        let mut random = || {
            run += 1;
            random_direction(n, &mut self.seed.rng(Stream::SpectrumStart, [at.step, at.subset, run]))
        };
        let mut start = random();
        if let Some(warm) = &self.warm {
            // a small random part, for directions missing from the previous ones
            let share = 0.1 / (n as f32).sqrt();
            start.iter_mut().zip(warm).for_each(|(start, warm)| *start = share * *start + warm);
        }
        let config = LargestConfig {
            values: self.section.values.get(),
            tolerance: self.section.tolerance.get(),
            products: self.section.steps,
        };
        largest_eigenpairs(config, start, random, |v| at.loss.hessian_vector(at.samples, v))
    }

    /// The eigenvalues found; all requested ones are missing if a product was not finite.
    fn values(&self, found: &Largest) -> Vec<Measured> {
        if found.completeness == lanczos::Completeness::Undefined {
            return vec![Measured::MISSING; self.section.values.get()];
        }
        found.pairs.iter().map(|pair| pair.value.into()).collect()
    }

    /// A vector of random signs.
    fn signs(&self, step: u64, index: u64) -> Vec<f32> {
        let mut rng = self.seed.rng(Stream::Spectrum, [step, index]);
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

const fn completeness(found: lanczos::Completeness) -> Completeness {
    match found {
        lanczos::Completeness::Verified => Completeness::Verified,
        lanczos::Completeness::AllNonzero => Completeness::AllNonzero,
        lanczos::Completeness::Unverified => Completeness::Unverified,
        lanczos::Completeness::Undefined => Completeness::Undefined,
    }
}

/// The eigenvalues of every subset, with the standard deviation of each one that all subsets have.
fn spread(values: Vec<Vec<Measured>>) -> Subsets {
    let common = values.iter().map(Vec::len).min().unwrap_or(0);
    let of_rank = |rank: usize| values.iter().map(|subset| subset[rank].or_nan()).collect::<Vec<f64>>();
    let deviations = (0..common).map(|rank| Moments::of(&of_rank(rank)).deviation.into()).collect();
    Subsets { values, deviations }
}
