//! The gradient of each update.

use rayon::prelude::*;
use walk_core::{Batch, BatchGradient, BatchNormMode, CoreError, DropoutDraw, Model, Point, Seed};
use walk_data::Subset;

use crate::samples::fill_batch;
use crate::{Accumulate, Method, OptimConfig, Position};

/// The gradient of each update, by mini-batch or accumulated over all samples.
pub(crate) struct Gradients<'a> {
    model: &'a Model,
    train: &'a Subset,
    optim: &'a OptimConfig,
    seed: Seed,
    batch: Batch,
    /// The next batch, prepared while the current one is being computed.
    ahead: Ahead,
    pub(crate) grad: Vec<f32>,
}

/// The result for the samples of an update.
pub(crate) struct BatchLoss {
    /// Their mean loss.
    pub(crate) loss: f64,
    /// The number of samples classified correctly.
    pub(crate) correct: usize,
    pub(crate) samples: usize,
}

/// Which gradient of an update it is: each part of an accumulated gradient has its own.
#[derive(Clone, Copy)]
struct Part {
    at: Position,
    index: u32,
    /// Position of its first sample in the epoch's order.
    start: usize,
}

/// Which batch: its epoch, and the position of its first sample in the epoch's order.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    epoch: u32,
    start: usize,
}

/// A batch prepared ahead of time.
#[derive(Default)]
struct Ahead {
    batch: Batch,
    place: Option<Place>,
}

impl<'a> Gradients<'a> {
    pub(crate) fn new(model: &'a Model, train: &'a Subset, optim: &'a OptimConfig, seed: Seed) -> Self {
        let batch = Batch::default();
        Self { model, train, optim, seed, batch, ahead: Ahead::default(), grad: vec![] }
    }

    /// Computes the gradient at `point` and updates the buffers.
    pub(crate) fn next(
        &mut self,
        point: &Point,
        buffers: &mut [f32],
        order: &[usize],
        at: Position,
    ) -> Result<BatchLoss, CoreError> {
        match self.optim.method {
            Method::Sgd => {
                let start = (at.iteration as usize - 1) * self.optim.batch_size;
                let gradient = self.part(point, buffers, order, Part { at, index: 0, start })?;
                let (loss, correct) = (gradient.mean_loss(), gradient.correct);
                self.grad = gradient.grad;
                Ok(BatchLoss { loss, correct, samples: self.batch.labels.len() })
            }
            Method::Gd => {
                let n = self.train.len();
                // parts that contain only one class would have the batch statistics of that class
                let order = self.train.mixed();
                self.grad.clear();
                self.grad.resize(point.params.len(), 0.0);
                let (mut loss_sum, mut correct) = (0.0, 0);
                for (index, start) in (0..n).step_by(self.optim.batch_size).enumerate() {
                    let part = Part { at, index: index as u32, start };
                    let gradient = self.part(point, buffers, order, part)?;
                    let rows = self.batch.labels.len();
                    loss_sum += gradient.mean_loss() * rows as f64;
                    correct += gradient.correct;
                    let weight = match self.optim.accumulate {
                        Accumulate::Mean => rows as f32 / n as f32,
                        Accumulate::Sum => 1.0,
                    };
                    self.grad.iter_mut().zip(&gradient.grad).for_each(|(sum, g)| *sum += weight * g);
                }
                Ok(BatchLoss { loss: loss_sum / n as f64, correct, samples: n })
            }
        }
    }

    /// Loss and gradient of up to `batch_size` samples of `order`, starting at the part's start.
    fn part(
        &mut self,
        point: &Point,
        buffers: &mut [f32],
        order: &[usize],
        part: Part,
    ) -> Result<BatchGradient, CoreError> {
        let Part { at, index, start } = part;
        let (train, seed, size, epoch) = (self.train, self.seed, self.optim.batch_size, at.epoch);
        let fill = |start: usize, batch: &mut Batch| {
            let indices = &order[start..order.len().min(start + size)];
            fill_batch(train, indices.par_iter().copied(), Some((seed, epoch)), batch);
        };
        if self.ahead.place == Some(Place { epoch, start }) {
            std::mem::swap(&mut self.batch, &mut self.ahead.batch);
        } else {
            fill(start, &mut self.batch);
        }
        self.batch.dropout = Some(DropoutDraw { seed, step: at.step.0, part: index });
        let next = start + size;
        self.ahead.place = (next < order.len()).then_some(Place { epoch, start: next });
        let Self { model, batch, ahead, .. } = self;
        let gradient = std::thread::scope(|scope| {
            if ahead.place.is_some() {
                scope.spawn(|| fill(next, &mut ahead.batch));
            }
            model.at(point)?.gradient(batch, BatchNormMode::Batch)
        })?;
        self.model.update_buffers(buffers, &gradient);
        Ok(gradient)
    }
}
