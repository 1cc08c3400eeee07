//! `[probe.alignment]`: gᵀHg / gᵀg of mini-batch gradients (paper, Eq. 4), by batch size.

use rand::seq::index::sample;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::{Backend, BatchNormMode, Seed, Stream, dot};
use walk_record::{AlignmentRow, Row};

use super::moments::Moments;
use super::surface::{Surface, first_samples};
use super::{Context, Probe, Section, Work};
use crate::{Position, Schedule, TrainError, Update};

/// How gradients of batches of several sizes lie to the Hessian: n batches of each size, drawn without replacement, at the
/// point after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlignmentSection {
    /// At which updates; each measurement takes `batches` products with the Hessian per batch size.
    pub when: Schedule,
    /// B, in the order they are measured; larger ones than the training part are the whole part, of which there is one batch.
    #[serde(default = "paper_sizes")]
    pub batch_sizes: Vec<usize>,
    /// n: batches of each size, at most.
    #[serde(default = "paper_batches")]
    pub batches: usize,
    /// Samples that batch norm and one pass see at a time; larger batches are cut.
    #[serde(default = "super::paper_chunk")]
    pub chunk: usize,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNormMode,
    /// The loss whose Hessian it is.
    #[serde(default)]
    pub hessian: HessianOf,
    /// Samples behind the Hessian of the full loss, the first of the training part; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hessian_samples: Option<usize>,
    /// No more batches once the standard error is below this share of the mean; 0 for all `batches`.
    #[serde(default)]
    pub relative_error: f64,
}

/// The loss whose Hessian is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HessianOf {
    /// The training loss: the paper's.
    #[default]
    Full,
    /// The batch's own loss: batch sharpness.
    Batch,
}

fn paper_sizes() -> Vec<usize> {
    vec![100, 1000, 10_000, 45_000]
}

const fn paper_batches() -> usize {
    50
}

impl Section for AlignmentSection {
    fn when(&self) -> &Schedule {
        &self.when
    }

    fn check(&self, key: &str) -> Result<(), TrainError> {
        let refuse = |name: &str, found: String, expected: &str| {
            Err(TrainError::value(&format!("{key}.{name}"), found, expected))
        };
        if self.batch_sizes.is_empty() || self.batch_sizes.contains(&0) {
            return refuse("batch_sizes", format!("{:?}", self.batch_sizes), "some numbers of at least 1");
        }
        if self.batches == 0 {
            return refuse("batches", "0".into(), "at least 1");
        }
        if self.chunk < 2 {
            return refuse("chunk", self.chunk.to_string(), "at least 2: batch norm wants a variance");
        }
        if self.hessian_samples == Some(0) {
            return refuse("hessian_samples", "0".into(), "at least 1");
        }
        if !(0.0..1.0).contains(&self.relative_error) {
            return refuse("relative_error", self.relative_error.to_string(), "a number from 0 to below 1");
        }
        Ok(())
    }

    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let Context { model, train, seed, optim, ranks } = context;
        let surface = Surface { model, train, chunk: self.chunk, batch_norm: self.batch_norm, ranks };
        Ok(Box::new(AlignmentProbe { section: self.clone(), surface, seed, lr: optim.lr }))
    }
}

struct AlignmentProbe<'a, B> {
    section: AlignmentSection,
    surface: Surface<'a, B>,
    seed: Seed,
    lr: f64,
}

/// gᵀHg and gᵀg of one gradient.
#[derive(Clone, Copy, Debug)]
struct Products {
    product: f64,
    square: f64,
}

/// What batches of one size gave.
struct OfSize {
    size: usize,
    /// 1/B - 1/N
    factor: f64,
    batches: Vec<Products>,
}

impl<B: Backend> Probe for AlignmentProbe<'_, B> {
    fn is_due(&self, at: Position) -> bool {
        self.section.when.includes(at)
    }

    fn work(&self) -> Work {
        let (n, batches) = (self.surface.train.len(), self.section.batches);
        let hessian = first_samples(self.surface.train, self.section.hessian_samples).len();
        let sampled = self.section.batch_sizes.iter().filter(|&&size| size < n);
        let of_size = |&size: &usize| {
            let multiplied = if self.section.hessian == HessianOf::Full { hessian } else { size };
            Work { differentiated: size, multiplied, ..Work::default() }.times(batches)
        };
        let full = Work { differentiated: n, multiplied: hessian, ..Work::default() };
        sampled.map(of_size).fold(full, Work::plus)
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let all: Vec<usize> = (0..self.surface.train.len()).collect();
        let full = self.products(update, &all)?;
        let sizes = self.section.batch_sizes.iter();
        let measured: Vec<OfSize> =
            sizes.map(|&size| self.of_size(update, size, full)).collect::<Result<_, _>>()?;
        let rows = measured.iter().enumerate().map(|(index, of)| {
            let others: Vec<&OfSize> =
                measured.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, of)| of).collect();
            let predicted = match self.section.hessian {
                HessianOf::Full => predict(full, of.factor, &others),
                HessianOf::Batch => None,
            };
            Row::Alignment(self.row(update.at, of, predicted))
        });
        Ok(rows.collect())
    }
}

impl<B: Backend> AlignmentProbe<'_, B> {
    /// gᵀHg and gᵀg for the gradient g of the mean loss of `drawn`.
    fn products(&self, update: &Update<'_>, drawn: &[usize]) -> Result<Products, TrainError> {
        let (surface, point) = (&self.surface, update.after);
        let grad = surface.gradient(point, drawn)?;
        let product = match self.section.hessian {
            HessianOf::Full => {
                let of = first_samples(surface.train, self.section.hessian_samples);
                surface.hessian_vector(point, &of, &grad)?
            }
            HessianOf::Batch => surface.hessian_vector(point, drawn, &grad)?,
        };
        let (product, square) = (dot(&grad, &product), dot(&grad, &grad));
        TrainError::check_finite("the alignment of a gradient", product / square, update.at)?;
        Ok(Products { product, square })
    }

    fn of_size(&self, update: &Update<'_>, size: usize, full: Products) -> Result<OfSize, TrainError> {
        let n = self.surface.train.len();
        let (size, mut batches) = (size.min(n), vec![]);
        let factor = 1.0 / size as f64 - 1.0 / n as f64;
        if size == n {
            // all batches are the one batch there is
            return Ok(OfSize { size, factor, batches: vec![full] });
        }
        let mut ratios = vec![];
        for index in 0..self.section.batches as u64 {
            let mut rng = self.seed.rng(Stream::Probe, update.at.step.0, ((size as u64) << 24) | index);
            let drawn = sample(&mut rng, n, size).into_vec();
            let products = self.products(update, &drawn)?;
            batches.push(products);
            ratios.push(products.product / products.square);
            let Moments { mean, standard_error, .. } = Moments::of(&ratios);
            if ratios.len() > 2 && standard_error <= self.section.relative_error * mean.abs() {
                break;
            }
        }
        Ok(OfSize { size, factor, batches })
    }

    fn row(&self, at: Position, of: &OfSize, predicted: Option<[f64; 2]>) -> AlignmentRow {
        let each = |value: fn(&Products) -> f64| of.batches.iter().map(value).collect::<Vec<f64>>();
        let (products, squares) = (each(|p| p.product), each(|p| p.square));
        let ratios = each(|p| p.product / p.square);
        let Moments { mean, deviation, standard_error } = Moments::of(&ratios);
        let square = Moments::of(&squares).mean;
        let ratio_of_means = Moments::of(&products).mean / square;
        // the delta method: a ratio of means moves as the mean of product - ratio * square does
        let apart: Vec<f64> = of.batches.iter().map(|p| p.product - ratio_of_means * p.square).collect();
        AlignmentRow {
            epoch: at.epoch,
            iteration: at.iteration,
            step: at.step.0,
            batch_size: of.size,
            batches: ratios.len(),
            mean,
            deviation,
            standard_error,
            ratio_of_means,
            ratio_of_means_error: Moments::of(&apart).standard_error / square,
            predicted,
            grad_norm_sq: square,
            two_over_lr: 2.0 / self.lr,
            hessian: match self.section.hessian {
                HessianOf::Full => "full".into(),
                HessianOf::Batch => "batch".into(),
            },
            hessian_samples: match self.section.hessian {
                HessianOf::Full => first_samples(self.surface.train, self.section.hessian_samples).len(),
                HessianOf::Batch => of.size,
            },
            ratios,
        }
    }
}

/// What Eq. 3 makes of the ratio of means at 1/B - 1/N = `factor`, (ḡᵀHḡ + f tr(HC)) / (‖ḡ‖² + f tr C), with the two traces
/// estimated from batches of other sizes: E[g_BᵀHg_B] - ḡᵀHḡ = f_B tr(HC) and E‖g_B‖² - ‖ḡ‖² = f_B tr C. With the standard
/// error that the others' spread gives it (delta method); `None` if all the others are whole sets.
fn predict(full: Products, factor: f64, others: &[&OfSize]) -> Option<[f64; 2]> {
    let batches: Vec<(Products, f64)> = others
        .iter()
        .filter(|of| of.factor > 0.0)
        .flat_map(|of| of.batches.iter().map(|&batch| (batch, of.factor)))
        .collect();
    if batches.is_empty() {
        return None;
    }
    let traces = |value: fn(Products) -> f64| {
        batches.iter().map(|&(batch, f)| (value(batch) - value(full)) / f).collect::<Vec<f64>>()
    };
    let (of_hc, of_c) = (traces(|p| p.product), traces(|p| p.square));
    let denominator = full.square + factor * Moments::of(&of_c).mean;
    let ratio = (full.product + factor * Moments::of(&of_hc).mean) / denominator;
    let apart: Vec<f64> = of_hc.iter().zip(&of_c).map(|(hc, c)| hc - ratio * c).collect();
    Some([ratio, factor * Moments::of(&apart).standard_error / denominator])
}
