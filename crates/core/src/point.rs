//! Points in parameter space.

use walk_kernels::elementwise::interpolate;

/// A point in parameter space, with its batch-norm buffers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// θ, of length P, laid out as described by [`Network::params`](walk_arch::Network::params).
    pub params: Vec<f32>,
    /// Running statistics, laid out as described by [`Network::buffers`](walk_arch::Network::buffers).
    pub buffers: Vec<f32>,
}

impl Point {
    /// Becomes (1 - α) `from` + α `to`, including buffers.
    pub fn set_between(&mut self, from: &Self, to: &Self, alpha: f64) {
        self.params.resize(from.params.len(), 0.0);
        self.buffers.resize(from.buffers.len(), 0.0);
        interpolate(&from.params, &to.params, alpha, &mut self.params);
        interpolate(&from.buffers, &to.buffers, alpha, &mut self.buffers);
    }
}
