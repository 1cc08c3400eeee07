//! `[probe.spectrum]`: eigenvalues of the Hessian of the training loss and of matrices like it, by the Lanczos method.

use rand::RngCore;
use walk_core::CoreError;
use walk_core::probes::lanczos::{
    self, Largest, LargestConfig, Quadrature, largest_eigenpairs, quadrature, random_direction,
};
use walk_core::probes::moments::{Estimate, Moments};
use walk_record::Measured;
use walk_record::rows::{ALL_PARAMETERS, Completeness, Density, Matrix, Subsets};

use super::curvature::{Block, Curvature};
use super::prelude::*;
use crate::Rule;

/// The largest eigenvalues at the point after an update, the gradient's share in the span of their eigenvectors, and, with
/// random vectors, the trace and the density.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpectrumSection {
    /// When to measure.
    pub when: Schedule,
    /// The matrices whose eigenvalues to measure, each with a row of its own.
    #[serde(default = "the_hessian")]
    pub matrices: Vec<Matrix>,
    /// Patterns of parameter names, in which `*` stands for any text. Each selects the diagonal block of its parameters, which has a
    /// row of its own; `*` is the whole matrix.
    #[serde(default = "the_whole_matrix")]
    pub parameters: Vec<String>,
    /// Whether the block of each layer has a row of its own as well.
    #[serde(default)]
    pub by_layer: bool,
    /// Whether to measure uᵀCu, the variance of the gradients along each eigenvector u that is found: of per-sample gradients, or if
    /// batch norm uses batch statistics, of the gradients of chunks, times `chunk`; for the preconditioned matrix, of
    /// the gradients multiplied by P^-1/2.
    #[serde(default)]
    pub gradient_noise: bool,
    /// k: number of largest eigenvalues to find, counted with multiplicity.
    #[serde(default = "AtLeast::<1>::preset::<5>")]
    pub values: AtLeast<1>,
    /// Stop when each residual is below this fraction of the largest eigenvalue, and no eigenvalue left out can exceed the
    /// smallest of those found by more than that.
    #[serde(default = "Fraction::thousandth")]
    pub tolerance: Fraction,
    /// Maximum number of matrix-vector products for the largest eigenvalues of each subset. The last run, which looks for missing eigenvalues,
    /// takes about as many as finding only the largest one.
    #[serde(default = "usual_steps")]
    pub steps: usize,
    /// Number of random vectors for the trace and the density.
    #[serde(default)]
    pub random_vectors: usize,
    /// Number of Lanczos steps from each random vector; 1 gives only the trace.
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

fn the_hessian() -> Vec<Matrix> {
    vec![Matrix::Hessian]
}

fn the_whole_matrix() -> Vec<String> {
    vec![ALL_PARAMETERS.into()]
}

const fn usual_steps() -> usize {
    200
}

impl Section for SpectrumSection {
    fn check(&self, key: &str, _updates: u64) -> Result<(), TrainError> {
        if self.steps < self.values.get() {
            let expected = "at least as many as `values`";
            return Err(TrainError::value(&format!("{key}.steps"), self.steps, expected));
        }
        if self.matrices.is_empty() {
            return Err(TrainError::value(&format!("{key}.matrices"), "[]", "at least one matrix"));
        }
        if let Some(repeated) =
            (1..self.matrices.len()).find(|&index| self.matrices[..index].contains(&self.matrices[index]))
        {
            let found = format!("\"{}\" twice", self.matrices[repeated].text());
            return Err(TrainError::value(&format!("{key}.matrices"), found, "distinct matrices"));
        }
        if self.parameters.is_empty() && !self.by_layer {
            let expected = "at least one pattern, or `by_layer` = true";
            return Err(TrainError::value(&format!("{key}.parameters"), "[]", expected));
        }
        if self.subsets.get() > 1 && self.samples.is_none() {
            let expected = "1: `samples`, the size of a subset, is not set, so there is only one subset";
            return Err(TrainError::value(&format!("{key}.subsets"), self.subsets.get(), expected));
        }
        Ok(())
    }

    fn without_effect(&self) -> Vec<Option<Unused>> {
        let is_unused = self.random_vectors == 0 && self.density_steps.get() > 1;
        vec![is_unused.then_some(("density_steps", "`random_vectors` is 0"))]
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
        let ProbeContext { model, seed, optim, .. } = context;
        let mean_loss = MeanLoss::new(context, self.chunk, self.batch_norm);
        let has_gradients = model.samples_have_gradients(mean_loss.batch_norm);
        self.check_matrices(optim, has_gradients)?;
        if self.gradient_noise && !has_gradients && samples / self.chunk.get() < 2 {
            let expected = format!("at most {}, so that {samples} samples make 2 chunks", samples / 2);
            return Err(TrainError::value("probe.spectrum.chunk", self.chunk.get(), expected));
        }
        let key = "probe.spectrum.parameters";
        let blocks = self.parameters.iter().map(|pattern| Block::new(pattern, model.network(), key));
        let mut blocks: Vec<Block> = blocks.collect::<Result<_, _>>()?;
        if self.by_layer {
            blocks.extend(Block::of_layers(model.network()));
        }
        let is_repeated = |(index, block): (usize, &Block)| {
            blocks[..index].iter().any(|other| other.pattern == block.pattern).then(|| block.pattern.clone())
        };
        if let Some(pattern) = blocks.iter().enumerate().find_map(is_repeated) {
            let expected = "distinct patterns, other than those of layers with `by_layer` = true";
            return Err(TrainError::value(key, format!("\"{pattern}\" twice"), expected));
        }
        let parts = self.matrices.iter().flat_map(|&matrix| {
            blocks.iter().map(move |block| MeasuredPart { matrix, block: block.clone(), warm: None })
        });
        let parts = parts.collect();
        Ok(Box::new(SpectrumProbe { section: self.clone(), mean_loss, seed, optim, has_gradients, parts }))
    }
}

impl SpectrumSection {
    /// Rejects matrices that this training does not have.
    fn check_matrices(&self, optim: &OptimConfig, samples_have_gradients: bool) -> Result<(), TrainError> {
        let refused = |matrix: &str, why: &str| {
            let expected = format!("a matrix other than `{matrix}`, because {why}");
            Err(TrainError::value("probe.spectrum.matrices", format!("\"{matrix}\""), expected))
        };
        if self.matrices.contains(&Matrix::Preconditioned) && optim.rule == Rule::Sgd {
            return refused("preconditioned", "`optim.rule` = \"sgd\" has no preconditioner");
        }
        if self.matrices.contains(&Matrix::EmpiricalFisher) && !samples_have_gradients {
            let why =
                "there are no per-sample gradients with batch statistics; set `batch_norm` = \"running\"";
            return refused("empirical_fisher", why);
        }
        Ok(())
    }
}

struct SpectrumProbe<'a> {
    section: SpectrumSection,
    mean_loss: MeanLoss<'a>,
    seed: Seed,
    optim: &'a OptimConfig,
    has_gradients: bool,
    parts: Vec<MeasuredPart>,
}

/// A block of a matrix.
struct MeasuredPart {
    matrix: Matrix,
    block: Block,
    /// The sum of the last eigenvectors found, a better start than a random vector.
    warm: Option<Vec<f32>>,
}

impl MeasuredPart {
    /// The name of `warm` in the probe's memory.
    fn warm_name(&self) -> String {
        match (self.matrix, self.block.is_whole()) {
            (Matrix::Hessian, true) => "warm".into(),
            (matrix, _) => format!("warm, {}, {}", matrix.text(), self.block.pattern),
        }
    }
}

/// What is measured at an update.
struct At<'a> {
    update: &'a Update<'a>,
    loss: &'a MeanLossAt<'a>,
    /// The gradient of the mean loss of the first subset.
    grad: &'a [f32],
    subsets: Vec<&'a [usize]>,
}

impl Probe for SpectrumProbe<'_> {
    fn work(&self) -> Work {
        let SpectrumSection { steps, random_vectors, density_steps, samples, subsets, .. } = self.section;
        let n = first_samples(self.mean_loss.train, samples).len();
        // values that converge and are verified take about a third of the allowed products
        let products = subsets.get() * (steps / 3) + random_vectors * density_steps.get();
        let slopes = if self.section.gradient_noise { self.section.values.get() } else { 0 };
        let at_once = self.mean_loss.chunk;
        let multiplied = self.parts.len() * (products + slopes) * n;
        Work { differentiated: n, multiplied, at_once, ..Work::default() }
    }

    fn remembered(&self, _span: Span) -> usize {
        let values: usize = self.parts.iter().map(|part| part.block.len).sum();
        values.div_ceil(self.mean_loss.model.network().n_params())
    }

    fn held(&self, _span: Span) -> usize {
        let SpectrumSection { steps, values, density_steps, subsets, .. } = self.section;
        // Lanczos vectors, of which a search that converges makes about a third in its longest run, beside eigenvectors
        let found = subsets.get() * values.get();
        found + (steps / 3).max(density_steps.get())
    }

    fn memory(&self) -> Memory {
        self.parts.iter().fold(Memory::default(), |memory, part| {
            memory.with(&part.warm_name(), part.warm.clone().map(Values::F32))
        })
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        for part in &mut self.parts {
            part.warm = memory.f32s(&part.warm_name(), part.block.len)?;
        }
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let (count, train) = (self.section.subsets.get(), self.mean_loss.train);
        let all = first_samples(train, self.section.samples.map(|size| SampleCount::new(size.get() * count)));
        let subsets: Vec<&[usize]> = all.chunks(all.len() / count).take(count).collect();
        let loss = &self.mean_loss.at(update.after)?;
        let at = At { update, loss, grad: &loss.gradient(subsets[0])?, subsets };
        let measured = (0..self.parts.len()).map(|part| self.of_part(&at, part));
        let measured: Vec<(rows::Spectrum, Option<Vec<f32>>)> = measured.collect::<Result<_, _>>()?;
        let rows = measured.into_iter().zip(&mut self.parts).map(|((row, warm), part)| {
            part.warm = warm;
            row.into()
        });
        Ok(rows.collect())
    }
}

impl SpectrumProbe<'_> {
    /// The row of a part, and the sum of its eigenvectors.
    fn of_part(&self, at: &At<'_>, part: usize) -> Result<(rows::Spectrum, Option<Vec<f32>>), TrainError> {
        let (section, train, step) = (&self.section, self.mean_loss.train, at.update.at.step.0);
        let MeasuredPart { matrix, block, .. } = &self.parts[part];
        let curvature = Curvature::new(at.loss, *matrix, block, at.update, self.optim, train.len());
        let found = at.subsets.iter().enumerate().map(|(subset, samples)| {
            self.largest(part, [step, subset as u64], |v| curvature.product(samples, v))
        });
        let found: Vec<Largest> = found.collect::<Result<_, CoreError>>()?;
        let (top, samples) = (&found[0], at.subsets[0]);
        let grad = curvature.gradient(at.grad.to_vec());
        let grad_norm_sq = dot(&grad, &grad);
        let inside = top.pairs.iter().fold(0.0, |sum, pair| sum + dot(&pair.vector, &grad).powi(2));
        let is_defined = top.completeness != lanczos::Completeness::Undefined;
        let product = |v: &[f32]| curvature.product(samples, v);
        let random = (1..=section.random_vectors as u64)
            .map(|index| {
                quadrature(section.density_steps.get(), &self.signs(block.len, step, index), product)
            })
            .collect::<Result<Vec<Quadrature>, CoreError>>()?;
        let products = found.iter().map(|found| found.products).sum::<usize>()
            + random.iter().map(|run| run.products).sum::<usize>();
        let forms: Vec<f64> = random.iter().map(|run| run.form).collect();
        let Estimate { value: trace, error: trace_error } = Moments::of(&forms).estimate();
        let density = (section.random_vectors > 0 && section.density_steps.get() > 1).then(|| Density {
            nodes: random.iter().map(|run| measured(&run.nodes)).collect(),
            weights: random.iter().map(|run| measured(&run.weights)).collect(),
        });
        let thresholds = match (matrix, block.is_whole()) {
            (Matrix::Hessian, true) => Thresholds::of_hessian(self.optim, train.len(), at.update.lr),
            (Matrix::Preconditioned, true) => Thresholds::of_preconditioned(self.optim, at.update.lr),
            _ => Thresholds::NONE,
        };
        let noise = section.gradient_noise.then(|| self.noise_along(at.loss, samples, &curvature, top));
        let values: Vec<Vec<Measured>> = found.iter().map(|found| self.values(found)).collect();
        let residuals: Vec<f64> = top.pairs.iter().map(|pair| pair.residual).collect();
        let row = rows::Spectrum {
            matrix: *matrix,
            parameters: block.pattern.clone(),
            residuals: if is_defined { measured(&residuals) } else { values[0].clone() },
            asked: section.values.get(),
            completeness: completeness(top.completeness),
            smallest: top.smallest.value.into(),
            smallest_residual: top.smallest.residual.into(),
            products,
            grad_norm_sq: grad_norm_sq.into(),
            gradient_share: (is_defined && grad_norm_sq > 0.0).then(|| inside / grad_norm_sq).into(),
            gradient_noise: noise.transpose()?,
            trace: trace.into(),
            trace_error: trace_error.into(),
            density,
            stability_threshold: thresholds.stability.into(),
            small_batch_plateau: thresholds.small_batch.into(),
            samples: samples.len(),
            train_samples: train.len(),
            values: values[0].clone(),
            subsets: (at.subsets.len() > 1).then(|| spread(values)),
            batch_norm: section.batch_norm,
        };
        let mut sum = vec![0.0; block.len];
        for pair in &top.pairs {
            sum.iter_mut().zip(&pair.vector).for_each(|(sum, x)| *sum += x);
        }
        Ok((row, (!top.pairs.is_empty()).then_some(sum)))
    }

    /// The largest eigenvalues of a part, from its products, for the update `step` and the subset of samples of this
    /// number.
    fn largest(
        &self,
        part: usize,
        [step, subset]: [u64; 2],
        product: impl FnMut(&[f32]) -> Result<Vec<f32>, CoreError>,
    ) -> Result<Largest, CoreError> {
        let MeasuredPart { block, warm, .. } = &self.parts[part];
        let mut run = 0;
        let mut random = || {
            run += 1;
            random_direction(block.len, &mut self.seed.rng(Stream::SpectrumStart, [step, subset, run]))
        };
        let mut start = random();
        if let Some(warm) = warm {
            // a small random part, for directions missing from the previous ones
            let share = 0.1 / (block.len as f32).sqrt();
            start.iter_mut().zip(warm).for_each(|(start, warm)| *start = share * *start + warm);
        }
        let config = LargestConfig {
            values: self.section.values.get(),
            tolerance: self.section.tolerance.get(),
            products: self.section.steps,
        };
        largest_eigenpairs(config, start, random, product)
    }

    /// uᵀCu for each eigenvector u: the variance of the slopes ∇ℓ_i·u of samples, or b times that of the slopes of chunks of b.
    fn noise_along(
        &self,
        loss: &MeanLossAt<'_>,
        samples: &[usize],
        curvature: &Curvature<'_>,
        found: &Largest,
    ) -> Result<Vec<Measured>, TrainError> {
        let directions: Vec<Vec<f32>> =
            found.pairs.iter().map(|pair| curvature.direction(&pair.vector)).collect();
        let (mode, chunk) = (self.mean_loss.batch_norm, self.mean_loss.chunk);
        let mut slopes = vec![vec![]; directions.len()];
        // a short chunk at the end would be of another size
        let whole = if self.has_gradients { samples } else { &samples[..samples.len() / chunk * chunk] };
        self.mean_loss.chunks(whole, |batch| {
            if self.has_gradients {
                for (slopes, direction) in slopes.iter_mut().zip(&directions) {
                    slopes.extend(loss.network.sample_slopes(batch, direction, mode)?);
                }
            } else {
                let grad = loss.network.gradient(batch, mode)?.grad;
                let along = slopes.iter_mut().zip(&directions);
                along.for_each(|(slopes, direction)| slopes.push(dot(&grad, direction)));
            }
            Ok::<(), TrainError>(())
        })?;
        let unit = if self.has_gradients { 1.0 } else { chunk as f64 };
        let variance =
            |slopes: &Vec<f64>| Moments::of(slopes).variance.map(|variance| unit * variance).into();
        Ok(slopes.iter().map(variance).collect())
    }

    /// The eigenvalues found; all requested ones are missing if a product was not finite.
    fn values(&self, found: &Largest) -> Vec<Measured> {
        if found.completeness == lanczos::Completeness::Undefined {
            return vec![Measured::MISSING; self.section.values.get()];
        }
        found.pairs.iter().map(|pair| pair.value.into()).collect()
    }

    /// A vector of random signs.
    fn signs(&self, n: usize, step: u64, index: u64) -> Vec<f32> {
        let mut rng = self.seed.rng(Stream::Spectrum, [step, index]);
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
