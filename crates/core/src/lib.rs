//! Networks on dfdx tensors: flat parameters, loss, gradient, evaluation, and the probes of the loss surface.
//!
//! A [`Model`] combines a checked [`Network`](walk_arch::Network) with a [`Backend`]: [`Composite`] runs every layer as
//! stable dfdx operations on any dfdx device, [`Fused`] replaces them on the CPU with the kernels of walk-kernels,
//! recorded on dfdx's tape as custom operations. The two are tested against each other.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod backend;
mod batch;
mod composite;
mod device;
mod error;
mod evaluate;
mod executor;
mod fused;
mod init;
mod kernel_activation;
mod model;
mod peak;
mod point;
pub mod probes;
mod row_norm;
mod seed;
mod selfcheck;
mod step;
mod tensors;
#[cfg(test)]
mod test_support;

pub use backend::{AtPoint, Backend, BatchGradient, BatchStatistics, PassKind};
pub use batch::{Batch, DropoutDraw};
pub use composite::{Composite, Reference};
pub use device::{DeviceError, DeviceName, backend_for};
pub use dfdx::tensor::Cpu;
#[cfg(feature = "cuda")]
pub use dfdx::tensor::Cuda;
pub use error::CoreError;
pub use evaluate::{BatchNormMode, ChunkResult, Evaluation, Evaluator, Samples};
pub use fused::{Convolution, Fused, LeastProducts};
pub use model::Model;
pub use peak::gemm_gflops;
pub use point::Point;
pub use seed::{Seed, Stream};
pub use selfcheck::{Difference, Quantity, differences, layer_networks};
pub use step::Step;
pub use walk_kernels::elementwise::{dot, interpolate};
pub use walk_kernels::loss::Loss;
pub use walk_kernels::memory::keep_freed_memory;
pub use walk_kernels::optimizer::{AdamMoments, AdamStep, SgdStep, adam_step, sgd_step, weight_sum};
