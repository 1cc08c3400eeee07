//! The training loop.

use std::sync::Arc;

use rayon::prelude::*;
use walk_core::{BatchNormMode, Model, Seed, dot};
use walk_data::Split;
use walk_record::Row;
use walk_record::rows::{Epoch, Kind, Order, Train};

use crate::gradients::{BatchLoss, Gradients};
use crate::order::epoch_order;
use crate::probe::ActiveProbe;
use crate::ranks::ShardedEvaluator;
use crate::samples::Fixed;
use crate::sink::{UPDATE, VALIDATION};
use crate::{After, OptimConfig, Position, Ranks, Sink, TrainError, TrainState, Update};

/// Number of samples per chunk of the validation loss, for which batch norm uses running statistics.
const VALIDATION_CHUNK: usize = 100;

/// How to train, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Passes over the training samples.
    pub epochs: u32,
    /// The experiment's seed.
    pub seed: Seed,
    /// The optimizer.
    pub optim: OptimConfig,
    /// Whether to record the order of each epoch's samples.
    pub record_order: bool,
}

/// Continues training from `state`, passes every update to the probes, and sends rows to `sink`; returns the final state. All
/// `ranks` must call it in the same way, with sinks that make the same decisions.
///
/// # Errors
/// [`TrainError::NotFinite`] as soon as a loss, a gradient or a parameter is not finite; [`TrainError::State`] if the state does not fit;
/// [`TrainError::Core`] and [`TrainError::Record`] if a device or the disk fails. Rows already sent are unaffected.
pub fn train(
    model: &Model,
    split: &Split,
    config: &TrainConfig,
    mut state: TrainState,
    probes: &mut [ActiveProbe<'_>],
    sink: &mut dyn Sink,
    ranks: &Arc<dyn Ranks>,
) -> Result<TrainState, TrainError> {
    let optim = &config.optim;
    let updates = optim.updates_per_epoch(split.train.len()) as u32;
    for probe in probes.iter_mut() {
        if let Some(memory) = state.probes.get(probe.name) {
            probe.restore(memory)?;
        }
    }
    state.optimizer.prepare(optim.rule, state.point.params.len());
    let mut after = state.point.clone();
    let mut gradients = Gradients::new(model, &split.train, optim, config.seed);
    let mut evaluator = ShardedEvaluator::over(model.evaluator(), ranks);
    let first_epoch = state.epoch + u32::from(state.epoch_done);
    for epoch in first_epoch..=config.epochs {
        if state.epoch_done {
            state =
                TrainState { epoch, iteration: 0, epoch_done: false, loss_sum: 0.0, correct: 0.0, ..state };
        }
        let order = epoch_order(config.seed, epoch, optim, split.train.len());
        if config.record_order && state.iteration == 0 {
            let at = Position { epoch, iteration: 0, updates, step: state.step };
            record(sink, at, Order { samples: order.clone() })?;
        }
        for iteration in state.iteration + 1..=updates {
            let at = Position { epoch, iteration, updates, step: state.step.next() };
            sink.begins(at, UPDATE);
            let before = &state.point;
            after.buffers.copy_from_slice(&before.buffers);
            let BatchLoss { loss, correct, samples } =
                gradients.next(before, &mut after.buffers, &order, at)?;
            TrainError::check_finite("the batch's loss", loss, at)?;
            let grad_norm = dot(&gradients.grad, &gradients.grad).sqrt();
            TrainError::check_finite("the gradient's norm", grad_norm, at)?;
            let (grad, lr) = (&gradients.grad, optim.learning_rate(at));
            state.optimizer.update(optim, lr, &before.params, grad, &mut after.params);
            record(sink, at, Train { loss: loss.into(), grad_norm: grad_norm.into(), lr })?;
            if let Some(value) = not_finite(&after.params) {
                return Err(TrainError::NotFinite {
                    what: "a parameter after the update",
                    value: value.into(),
                    at,
                });
            }
            let (start, initial) = (state.step, &state.initial);
            let optimizer = &state.optimizer;
            let update = Update { at, start, initial, before, after: &after, grad, lr, optimizer };
            for probe in probes.iter_mut() {
                if probe.is_due(at) {
                    sink.begins(at, probe.name);
                }
                probe.see(&update)?.into_iter().try_for_each(|found| record(sink, at, found))?;
            }
            std::mem::swap(&mut state.point, &mut after);
            state.loss_sum += loss * samples as f64;
            state.correct += correct as f64;
            (state.step, state.iteration) = (at.step, iteration);
            if iteration == updates {
                state.epoch_done = true;
                sink.begins(at, VALIDATION);
                let samples = Fixed(&split.valid);
                let mode = BatchNormMode::Running;
                let valid = evaluator.evaluate(&state.point, &samples, VALIDATION_CHUNK, mode)?;
                let samples = optim.samples_per_epoch(split.train.len()) as f64;
                let row = Epoch {
                    train_loss: (state.loss_sum / samples).into(),
                    train_accuracy: (state.correct / samples).into(),
                    valid_loss: valid.mean_loss().into(),
                    valid_accuracy: valid.accuracy().into(),
                };
                record(sink, at, row)?;
            }
            let then = sink.after(at);
            if then != After::Continue {
                state.probes = probes.iter().map(|probe| (probe.name.to_owned(), probe.memory())).collect();
                sink.save(at, &state, probes)?;
            }
            if then == After::SaveAndStop {
                return Ok(state);
            }
        }
    }
    Ok(state)
}

/// A parameter that is not finite, if there is one.
fn not_finite(params: &[f32]) -> Option<f32> {
    // find the largest magnitude by its bits, which avoids a branch per parameter
    let magnitude = |x: f32| x.to_bits() & (u32::MAX >> 1);
    let largest_of = |part: &[f32]| part.iter().fold(0, |largest, &x| magnitude(x).max(largest));
    let largest = params.par_chunks(1 << 16).map(largest_of).max().unwrap_or(0);
    if f32::from_bits(largest).is_finite() { None } else { params.iter().copied().find(|x| !x.is_finite()) }
}

/// Sends a record made at `at`.
fn record(sink: &mut dyn Sink, at: Position, found: impl Into<Kind>) -> Result<(), TrainError> {
    Ok(sink.row(&Row { at: at.stamp(), kind: found.into() })?)
}

#[cfg(test)]
mod tests;
