//! Points of parameter space.

/// A place in parameter space, with the batch-norm buffers that belong to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// θ, of length P, laid out as [`Network::params`](walk_arch::Network::params) says.
    pub params: Vec<f32>,
    /// Running statistics, laid out as [`Network::buffers`](walk_arch::Network::buffers) says.
    pub buffers: Vec<f32>,
}
