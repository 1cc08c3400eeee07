//! The loss at points that training did not visit: along lines and on planes.

use crate::{BatchNormMode, CoreError, Evaluation, Evaluator, Point, Samples};

/// Gives a point the running statistics that belong to its parameters.
pub type Restate<'a> = Box<dyn Fn(&mut Point) -> Result<(), CoreError> + 'a>;

/// The statistics that batch norm uses at such points.
pub enum PathStatistics<'a> {
    /// Those of each chunk.
    Batch,
    /// Running statistics that belong to the point. The averages from another point do not fit, nor does the average of those
    /// of two points: a barrier would appear where there is none.
    Estimated {
        /// The number of samples that they are estimated on.
        samples: usize,
        /// Gives them to a point.
        restate: Restate<'a>,
    },
}

/// Evaluates losses at any point.
pub struct PathLoss<'a> {
    evaluator: Box<dyn Evaluator>,
    chunk: usize,
    statistics: PathStatistics<'a>,
}

impl<'a> PathLoss<'a> {
    /// A path evaluator that uses `evaluator` on chunks of `chunk` samples.
    pub const fn new(evaluator: Box<dyn Evaluator>, chunk: usize, statistics: PathStatistics<'a>) -> Self {
        Self { evaluator, chunk, statistics }
    }

    /// Samples per chunk.
    pub const fn chunk(&self) -> usize {
        self.chunk
    }

    /// The number of samples that running statistics are estimated on at each point, if evaluations use any.
    pub const fn estimated_on(&self) -> Option<usize> {
        match self.statistics {
            PathStatistics::Batch => None,
            PathStatistics::Estimated { samples, .. } => Some(samples),
        }
    }

    /// Gives `point` the running statistics that belong to its parameters, if evaluations use any.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network or the device fails.
    pub fn restate(&self, point: &mut Point) -> Result<(), CoreError> {
        match &self.statistics {
            PathStatistics::Batch => Ok(()),
            PathStatistics::Estimated { restate, .. } => restate(point),
        }
    }

    /// The loss of `samples` at a point that already has its own statistics.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network, a label is out of range or the device fails.
    pub fn evaluate_restated(
        &mut self,
        point: &Point,
        samples: &dyn Samples,
    ) -> Result<Evaluation, CoreError> {
        let mode = match self.statistics {
            PathStatistics::Batch => BatchNormMode::Batch,
            PathStatistics::Estimated { .. } => BatchNormMode::Running,
        };
        self.evaluator.evaluate(point, samples, self.chunk, mode)
    }

    /// The loss of `samples` at `point`, which gets the running statistics that belong to it.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network, a label is out of range or the device fails.
    pub fn evaluate(&mut self, point: &mut Point, samples: &dyn Samples) -> Result<Evaluation, CoreError> {
        self.restate(point)?;
        self.evaluate_restated(point, samples)
    }
}
