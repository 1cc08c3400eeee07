//! CPU compute kernels on plain slices: matrix products, linear layers, batch norm, activations, losses.
//!
//! Matrices are row-major `[rows, columns]` unless said otherwise; a batch has one sample per row. Every kernel
//! gives the same bits for any number of threads: work is divided only by size, and sums run in a
//! fixed order. Kernels are compiled for several instruction sets, and the best one is chosen at run time.
//!
//! Slices of the wrong length are bugs of the caller and panic.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

pub mod activation;
pub mod awake;
pub mod batch_matmul;
pub mod batch_norm;
pub mod channel_order;
pub mod conv;
pub mod elementwise;
pub mod linear;
pub mod loss;
pub mod matmul;
pub mod memory;
mod narrow;
pub mod optimizer;
pub mod pool;
pub mod rearrange;
pub mod rows;
pub mod sample_norms;
pub mod scale_shift;
pub mod softmax;
pub mod standardize;

#[cfg(test)]
mod test_support;
