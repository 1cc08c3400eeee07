//! `[probe.line]`: the loss along the line from θ_0, or from another run's θ, to the point after an update.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::{Backend, BatchNormMode, Evaluator, Point, interpolate};
use walk_data::Subset;
use walk_record::{LineRow, Row, Values};

use super::distance::distance_sq;
use super::surface::mode_name;
use super::{Context, Memory, Probe, Section, Work};
use crate::checkpoint::read_point;
use crate::samples::Fixed;
use crate::{Position, Schedule, TrainError, Update};

/// Losses and errors of all training samples along a line: from the start of the run as Goodfellow et al. (2014), or between
/// two runs as linear mode connectivity (Frankle et al., 2020).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineSection {
    /// At which updates: where the line ends.
    pub when: Schedule,
    /// A checkpoint where it begins; θ_0 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Positions, both ends included.
    #[serde(default = "usual_points")]
    pub points: usize,
    /// Samples per evaluation chunk.
    #[serde(default = "super::paper_chunk")]
    pub chunk: usize,
    /// Statistics of batch norm.
    #[serde(default)]
    pub batch_norm: BatchNormMode,
}

/// As in studies of linear mode connectivity.
const fn usual_points() -> usize {
    30
}

impl Section for LineSection {
    fn when(&self) -> &Schedule {
        &self.when
    }

    fn check(&self, key: &str) -> Result<(), TrainError> {
        if self.points < 2 {
            return Err(TrainError::value(&format!("{key}.points"), self.points, "at least 2"));
        }
        if self.chunk == 0 {
            return Err(TrainError::value(&format!("{key}.chunk"), 0, "at least 1"));
        }
        Ok(())
    }

    fn probe<'a, B: Backend>(&self, context: Context<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let Context { model, train, .. } = context;
        let from = self.from.as_ref().map(|path| read_point(path, model.network(), "probe.line.from"));
        let (section, evaluator, from) = (self.clone(), context.evaluator(), from.transpose()?);
        let lengths = [model.network().n_params(), model.network().n_buffers()];
        Ok(Box::new(LineProbe { section, evaluator, train, lengths, from }))
    }
}

struct LineProbe<'a> {
    section: LineSection,
    evaluator: Box<dyn Evaluator>,
    train: &'a Subset,
    /// Of parameters and buffers.
    lengths: [usize; 2],
    /// Where the line begins; none before the first update.
    from: Option<Point>,
}

impl Probe for LineProbe<'_> {
    fn is_due(&self, at: Position) -> bool {
        self.section.when.includes(at)
    }

    fn work(&self) -> Work {
        Work::losses(self.section.points * self.train.len())
    }

    fn observe(&mut self, update: &Update<'_>) -> Result<(), TrainError> {
        self.from.get_or_insert_with(|| update.before.clone());
        Ok(())
    }

    fn memory(&self) -> Memory {
        match self.from.clone().filter(|_| self.section.from.is_none()) {
            Some(Point { params, buffers }) => Memory::default()
                .with("start", Values::F32(params))
                .with("start_buffers", Values::F32(buffers)),
            None => Memory::default(),
        }
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        let [n_params, n_buffers] = self.lengths;
        let start = memory.f32s("start", n_params)?.zip(memory.f32s("start_buffers", n_buffers)?);
        self.from = self.from.take().or(start.map(|(params, buffers)| Point { params, buffers }));
        Ok(())
    }

    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Row>, TrainError> {
        let LineSection { points, chunk, batch_norm, .. } = self.section;
        let (at, to) = (update.at, update.after);
        let from = self.from.as_ref().unwrap_or(update.before);
        let mut between = to.clone();
        let (mut alphas, mut losses, mut errors) = (vec![], vec![], vec![]);
        for index in 0..points {
            let alpha = index as f64 / (points - 1) as f64;
            interpolate(&from.params, &to.params, alpha, &mut between.params);
            interpolate(&from.buffers, &to.buffers, alpha, &mut between.buffers);
            let evaluation = self.evaluator.evaluate(&between, &Fixed(self.train), chunk, batch_norm)?;
            TrainError::check_finite("a loss along a line", evaluation.mean_loss(), at)?;
            alphas.push(alpha);
            losses.push(evaluation.mean_loss());
            errors.push(1.0 - evaluation.accuracy());
        }
        Ok(vec![Row::Line(LineRow {
            epoch: at.epoch,
            iteration: at.iteration,
            step: at.step.0,
            from: self.section.from.as_ref().map_or("start".into(), |path| path.display().to_string()),
            length: distance_sq(&from.params, &to.params).sqrt(),
            loss_barrier: barrier(&losses),
            error_barrier: barrier(&errors),
            monotone: losses.windows(2).all(|pair| pair[1] <= pair[0]),
            alphas,
            losses,
            errors,
            samples: self.train.len(),
            batch_norm: mode_name(batch_norm),
        })])
    }
}

/// The largest value less the mean of the ends'.
fn barrier(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top - 0.5 * (values[0] + values[values.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::barrier;

    #[test]
    fn a_barrier_is_measured_from_the_mean_of_the_ends() {
        assert_eq!(barrier(&[1.0, 4.0, 2.0]), 2.5);
        assert_eq!(barrier(&[3.0, 2.0, 1.0]), 1.0);
    }
}
