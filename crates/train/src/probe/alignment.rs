//! `[probe.alignment]`: gᵀHg / gᵀg of mini-batch gradients (paper, Eq. 4), by batch size.

use rand::seq::index::sample;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use walk_core::{Backend, Batch, BatchNormMode, CoreError, Model, Point, Seed, Stream, dot};
use walk_data::Subset;
use walk_record::{AlignmentRow, Row};

use super::{Context, Probe, Section};
use crate::samples::fill_batch;
use crate::{Position, Schedule, TrainError, Update};

/// How gradients of batches of several sizes lie to the Hessian: n batches of each size, drawn without replacement, at the
/// point after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignmentSection {
    /// At which updates; each measurement takes `batches` products with the Hessian per batch size.
    pub when: Schedule,
    /// B, in the order they are measured.
    #[serde(default = "paper_sizes")]
    pub batch_sizes: Vec<usize>,
    /// n, at most.
    #[serde(default = "paper_batches")]
    pub batches: usize,
    /// Samples that batch norm and one pass see at a time; larger batches are cut.
    #[serde(default = "paper_chunk")]
    pub chunk: usize,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

const fn paper_chunk() -> usize {
    100
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

    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Box<dyn Probe + 'a> {
        let Context { model, train, seed, optim } = context;
        Box::new(AlignmentProbe { section: self.clone(), model, train, seed, lr: optim.lr })
    }
}

struct AlignmentProbe<'a, B> {
    section: AlignmentSection,
    model: &'a Model<B>,
    train: &'a Subset,
    seed: Seed,
    lr: f64,
}

impl<B: Backend> Probe for AlignmentProbe<'_, B> {
    fn is_due(&self, at: Position) -> bool {
        self.section.when.includes(at)
    }

    fn cost(&self) -> usize {
        let hessian = self.hessian_samples().len() * self.section.batch_sizes.len();
        self.section.batches * (hessian + self.section.batch_sizes.iter().sum::<usize>())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let sizes = self.section.batch_sizes.clone().into_iter();
        sizes.map(|size| self.of_size(update, size).map(Row::Alignment)).collect()
    }
}

impl<B: Backend> AlignmentProbe<'_, B> {
    fn hessian_samples(&self) -> std::ops::Range<usize> {
        0..self.section.hessian_samples.unwrap_or(self.train.len()).min(self.train.len())
    }

    fn of_size(&self, update: &Update<'_>, size: usize) -> Result<AlignmentRow, TrainError> {
        let (at, point) = (update.at, update.after);
        let size = size.min(self.train.len());
        let (mut ratios, mut products, mut squares) = (vec![], vec![], vec![]);
        for index in 0..self.section.batches as u64 {
            let mut rng = self.seed.rng(Stream::Probe, at.step.0, ((size as u64) << 24) | index);
            let drawn = sample(&mut rng, self.train.len(), size).into_vec();
            let grad = self.mean_of(point, &drawn, at, |batch| {
                Ok(self.model.gradient(point, batch, BatchNormMode::Batch)?.grad)
            })?;
            let of: Vec<usize> = match self.section.hessian {
                HessianOf::Full => self.hessian_samples().collect(),
                HessianOf::Batch => drawn,
            };
            let product = self.mean_of(point, &of, at, |batch| {
                self.model.hessian_vector(point, batch, &grad, BatchNormMode::Batch)
            })?;
            let (product, square) = (dot(&grad, &product), dot(&grad, &grad));
            TrainError::check_finite("the alignment of a gradient", product / square, at)?;
            ratios.push(product / square);
            products.push(product);
            squares.push(square);
            let [mean, _, error] = moments(&ratios);
            if ratios.len() > 2 && error.abs() <= self.section.relative_error * mean.abs() {
                break;
            }
        }
        let [mean, deviation, standard_error] = moments(&ratios);
        Ok(AlignmentRow {
            epoch: at.epoch,
            iteration: at.iteration,
            step: at.step.0,
            batch_size: size,
            batches: ratios.len(),
            mean,
            deviation,
            standard_error,
            ratio_of_means: moments(&products)[0] / moments(&squares)[0],
            grad_norm_sq: moments(&squares)[0],
            two_over_lr: 2.0 / self.lr,
            hessian: match self.section.hessian {
                HessianOf::Full => "full".into(),
                HessianOf::Batch => "batch".into(),
            },
            hessian_samples: match self.section.hessian {
                HessianOf::Full => self.hessian_samples().len(),
                HessianOf::Batch => size,
            },
            ratios,
        })
    }

    /// The mean over samples of a vector that a model gives for each chunk of them.
    fn mean_of(
        &self,
        point: &Point,
        samples: &[usize],
        at: Position,
        of: impl Fn(&Batch) -> Result<Vec<f32>, CoreError>,
    ) -> Result<Vec<f32>, TrainError> {
        let mut mean = vec![0.0f32; point.params.len()];
        let mut batch = Batch::default();
        for part in samples.chunks(self.section.chunk) {
            fill_batch(self.train, part.par_iter().copied(), self.seed, at.epoch, &mut batch);
            let share = part.len() as f32 / samples.len() as f32;
            let vector = of(&batch)?;
            mean.par_iter_mut().zip(vector).for_each(|(mean, x)| *mean += share * x);
        }
        Ok(mean)
    }
}

/// Mean, standard deviation (unbiased variance) and standard error.
fn moments(values: &[f64]) -> [f64; 3] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    let deviation = if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 };
    [mean, deviation, deviation / n.sqrt()]
}
