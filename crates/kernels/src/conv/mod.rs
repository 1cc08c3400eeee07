//! Two-dimensional convolution (cross-correlation, as PyTorch's Conv2d) of images with channels last.
//!
//! Images are `[height, width, channels]`; weights and their gradients are laid out as in PyTorch,
//! `[out_channels, in_channels / groups, height, width]`.
#![expect(
    clippy::needless_range_loop,
    reason = "indices are those of the formulas, and the loops must unroll"
)]

/// Covers 0..end in runs of the given lengths, longest first, and then of 1, calling a method for each run with its length as
/// the constant. The lengths before the semicolon are for machines with `wide` vectors, which have more registers.
macro_rules! in_runs {
    ([$($long:literal),*; $($length:literal),*], $wide:expr, $start:ident..$end:expr, $this:ident.$run:ident $args:tt) => {
        let mut $start = 0;
        $(while $wide && $start + $long <= $end {
            $this.$run::<$long, S> $args;
            $start += $long;
        })*
        $(while $start + $length <= $end {
            $this.$run::<$length, S> $args;
            $start += $length;
        })*
        while $start < $end {
            $this.$run::<1, S> $args;
            $start += 1;
        }
    };
}

mod algorithm;
mod blocked;
mod direct;
mod im2col;
mod input;
mod method;
mod packed;
mod sample_norms;
mod scratch;
mod shape;
mod taps;
mod winograd;

pub use algorithm::Algorithm;
pub use input::ParamsBackward;
pub use packed::{Fusion, InputGradient, PackedConv, backward_params};
pub use sample_norms::add_weight_norms_sq;
pub use scratch::Scratch;
pub use shape::ConvShape;

#[cfg(test)]
mod tests;
