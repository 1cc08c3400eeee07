//! Batches of samples.

use crate::DropoutDraw;

/// A batch of samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// One row per sample, `[rows, input length]`.
    pub inputs: Vec<f32>,
    /// The class of each sample.
    pub labels: Vec<usize>,
    /// The random numbers of dropout; `None` in evaluations, where dropout does nothing.
    pub dropout: Option<DropoutDraw>,
}
