//! The training loop.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use walk_core::{
    Backend, Batch, BatchNormMode, CoreError, DropoutDraw, Model, Point, Seed, Step, dot, sgd_step,
};
use walk_data::{Split, Subset};
use walk_record::{EpochRow, OrderRow, RecordError, Row, TrainRow};

use crate::order::epoch_order;
use crate::ranks::ShardedEvaluator;
use crate::samples::{Fixed, fill_batch};
use crate::{Accumulate, ActiveProbe, Memory, Method, OptimConfig, Ranks, TrainError, Work};

/// Samples per chunk where the validation loss is evaluated: batch norm uses running statistics there.
const VALIDATION_CHUNK: usize = 100;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates in the epoch.
    pub updates: u32,
    /// Updates made, this one included.
    pub step: Step,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {}, iteration {} (step {})", self.epoch, self.iteration, self.step.0)
    }
}

/// One update, as probes see it.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// Which one.
    pub at: Position,
    /// Updates made before it.
    pub start: Step,
    /// θ_t and the buffers before.
    pub before: &'a Point,
    /// θ_{t+1} and the buffers after.
    pub after: &'a Point,
    /// g_t, the gradient of the update's loss at θ_t, without weight decay.
    pub grad: &'a [f32],
}

/// How long and how to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Passes over the training samples.
    pub epochs: u32,
    /// The experiment's seed.
    pub seed: Seed,
    /// How θ moves.
    pub optim: OptimConfig,
    /// Whether the order of each epoch's samples goes into the record.
    pub record_order: bool,
}

/// What is to be done after an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Go on.
    GoOn,
    /// Save the state, then go on.
    Save,
    /// Save the state and end the run.
    SaveAndStop,
}

/// Where rows go, and who decides when the state is saved.
pub trait Sink {
    /// Takes a row.
    ///
    /// # Errors
    /// [`RecordError`] if it cannot be kept.
    fn row(&mut self, row: &Row) -> Result<(), RecordError>;

    /// Hears that work of so much weight (see [`Work::weight`]) has been done, in training or by a probe, up to `at`.
    fn progress(&mut self, at: Position, weight: usize);

    /// Says what is to be done after the update at `at` and all its rows.
    fn after(&mut self, _at: Position) -> After {
        After::GoOn
    }

    /// Saves the state after an update.
    ///
    /// # Errors
    /// [`RecordError`] if it cannot be kept.
    fn save(&mut self, _at: Position, _state: &TrainState) -> Result<(), RecordError> {
        Ok(())
    }
}

/// Where a run stands between two updates.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainState {
    /// θ and the buffers.
    pub point: Point,
    /// Momentum's velocity, of length P.
    pub velocity: Vec<f32>,
    /// The epoch of the last update, 0 before the first.
    pub epoch: u32,
    /// Updates made in that epoch.
    pub iteration: u32,
    /// Whether these were all of the epoch's.
    pub epoch_done: bool,
    /// Updates made.
    pub step: Step,
    /// Sum of the mean losses of the epoch's batches so far.
    pub loss_sum: f64,
    /// What the probes remember, by their names.
    pub probes: BTreeMap<String, Memory>,
}

impl TrainState {
    /// Before the first update.
    pub fn new(point: Point) -> Self {
        Self {
            velocity: vec![0.0; point.params.len()],
            point,
            epoch: 0,
            iteration: 0,
            epoch_done: true,
            step: Step(0),
            loss_sum: 0.0,
            probes: BTreeMap::new(),
        }
    }
}

/// Trains on from `state`, shows every update to the probes, and sends rows to `sink`; returns where it ended. All `ranks`
/// must call it alike, with sinks that decide alike.
///
/// # Errors
/// [`TrainError::NotFinite`] as soon as a loss or a gradient is not finite; [`TrainError::State`] if the state does not fit;
/// [`TrainError::Core`] and [`TrainError::Record`] if a device or the disk fails. Rows sent before stay as they are.
pub fn train<B: Backend>(
    model: &Model<B>,
    split: &Split,
    config: &TrainConfig,
    mut state: TrainState,
    probes: &mut [ActiveProbe<'_>],
    (sink, ranks): (&mut dyn Sink, &Arc<dyn Ranks>),
) -> Result<TrainState, TrainError> {
    let optim = &config.optim;
    let updates = optim.updates_per_epoch(split.train.len()) as u32;
    for probe in probes.iter_mut() {
        if let Some(memory) = state.probes.get(probe.name) {
            probe.restore(memory)?;
        }
    }
    let mut after = state.point.clone();
    let mut gradients = Gradients::new(model, &split.train, config);
    let mut evaluator = ShardedEvaluator::over(model.evaluator(), ranks);
    let first_epoch = state.epoch + u32::from(state.epoch_done);
    for epoch in first_epoch..=config.epochs {
        if state.epoch_done {
            state = TrainState { epoch, iteration: 0, epoch_done: false, loss_sum: 0.0, ..state };
        }
        let order = epoch_order(config.seed, epoch, optim, split.train.len());
        if config.record_order && state.iteration == 0 {
            let (samples, step) = (order.clone(), state.step.0);
            sink.row(&Row::Order(OrderRow { epoch, iteration: 0, step, samples }))?;
        }
        for iteration in state.iteration + 1..=updates {
            let at = Position { epoch, iteration, updates, step: state.step.next() };
            let before = &state.point;
            after.buffers.copy_from_slice(&before.buffers);
            let (loss, seen) = gradients.next(before, &mut after.buffers, &order, at)?;
            TrainError::check_finite("the batch's loss", loss, at)?;
            let grad_norm = dot(&gradients.grad, &gradients.grad).sqrt();
            TrainError::check_finite("the gradient's norm", grad_norm, at)?;
            let (grad, velocity) = (&gradients.grad, &mut state.velocity);
            sgd_step(optim.step(), &before.params, grad, velocity, &mut after.params);
            let lr = optim.lr;
            sink.row(&Row::Train(TrainRow { epoch, iteration, step: at.step.0, loss, grad_norm, lr }))?;
            sink.progress(at, Work { differentiated: seen, ..Work::default() }.weight());
            let update = Update { at, start: state.step, before, after: &after, grad };
            for probe in probes.iter_mut() {
                probe.see(&update)?.iter().try_for_each(|row| sink.row(row))?;
                if probe.is_due(at) {
                    sink.progress(at, probe.work().weight());
                }
            }
            std::mem::swap(&mut state.point, &mut after);
            state.loss_sum += loss;
            (state.step, state.iteration) = (at.step, iteration);
            if iteration == updates {
                state.epoch_done = true;
                let samples = Fixed(&split.valid);
                let mode = BatchNormMode::Running;
                let valid = evaluator.evaluate(&state.point, &samples, VALIDATION_CHUNK, mode)?;
                sink.row(&Row::Epoch(EpochRow {
                    epoch,
                    iteration,
                    step: at.step.0,
                    train_loss: state.loss_sum / f64::from(updates),
                    valid_loss: valid.mean_loss(),
                    valid_accuracy: valid.accuracy(),
                }))?;
            }
            let then = sink.after(at);
            if then != After::GoOn {
                state.probes = probes.iter().map(|probe| (probe.name.to_owned(), probe.memory())).collect();
                sink.save(at, &state)?;
            }
            if then == After::SaveAndStop {
                return Ok(state);
            }
        }
    }
    Ok(state)
}

/// The gradient of each update, by mini-batch or accumulated over all samples.
struct Gradients<'a, B> {
    model: &'a Model<B>,
    train: &'a Subset,
    optim: &'a OptimConfig,
    seed: Seed,
    batch: Batch,
    /// The batch that comes next, made while the one before is worked on.
    ahead: Ahead,
    grad: Vec<f32>,
}

/// A batch made ahead, and which one it is: epoch and place of its first sample in the epoch's order.
#[derive(Default)]
struct Ahead {
    batch: Batch,
    of: Option<(u32, usize)>,
}

impl<'a, B: Backend> Gradients<'a, B> {
    fn new(model: &'a Model<B>, train: &'a Subset, config: &'a TrainConfig) -> Self {
        let (optim, seed, batch) = (&config.optim, config.seed, Batch::default());
        Self { model, train, optim, seed, batch, ahead: Ahead::default(), grad: vec![] }
    }

    /// Computes the gradient at `point` and moves the buffers; returns the mean loss and the samples seen.
    fn next(
        &mut self,
        point: &Point,
        buffers: &mut [f32],
        order: &[usize],
        at: Position,
    ) -> Result<(f64, usize), CoreError> {
        match self.optim.method {
            Method::Sgd => {
                let start = (at.iteration as usize - 1) * self.optim.batch_size;
                let (loss, grad) = self.one(point, buffers, order, start, (at, 0))?;
                self.grad = grad;
                Ok((loss, self.batch.labels.len()))
            }
            Method::Gd => {
                let n = self.train.len();
                // an epoch of GD visits the samples in their own order
                let order: Vec<usize> = (0..n).collect();
                self.grad.clear();
                self.grad.resize(point.params.len(), 0.0);
                let mut loss_sum = 0.0;
                for (part, start) in (0..n).step_by(self.optim.batch_size).enumerate() {
                    let (loss, grad) = self.one(point, buffers, &order, start, (at, part as u32))?;
                    let rows = self.batch.labels.len();
                    loss_sum += loss * rows as f64;
                    let weight = match self.optim.accumulate {
                        Accumulate::Mean => rows as f32 / n as f32,
                        Accumulate::Sum => 1.0,
                    };
                    self.grad.iter_mut().zip(&grad).for_each(|(sum, g)| *sum += weight * g);
                }
                Ok((loss_sum / n as f64, n))
            }
        }
    }

    /// Loss and gradient of the samples of `order` from `start` on, `batch_size` of them or what is left.
    fn one(
        &mut self,
        point: &Point,
        buffers: &mut [f32],
        order: &[usize],
        start: usize,
        (at, part): (Position, u32),
    ) -> Result<(f64, Vec<f32>), CoreError> {
        let (train, seed, size, epoch) = (self.train, self.seed, self.optim.batch_size, at.epoch);
        let fill = |start: usize, batch: &mut Batch| {
            let indices = &order[start..order.len().min(start + size)];
            fill_batch(train, indices.par_iter().copied(), Some((seed, epoch)), batch);
        };
        if self.ahead.of == Some((epoch, start)) {
            std::mem::swap(&mut self.batch, &mut self.ahead.batch);
        } else {
            fill(start, &mut self.batch);
        }
        self.batch.dropout = Some(DropoutDraw { seed, step: at.step.0, part });
        let next = start + size;
        self.ahead.of = (next < order.len()).then_some((epoch, next));
        let Self { model, batch, ahead, .. } = self;
        let gradient = std::thread::scope(|scope| {
            if ahead.of.is_some() {
                scope.spawn(|| fill(next, &mut ahead.batch));
            }
            model.gradient(point, batch, BatchNormMode::Batch)
        })?;
        self.model.update_buffers(buffers, &gradient);
        Ok((gradient.mean_loss(), gradient.grad))
    }
}

#[cfg(test)]
mod tests;
