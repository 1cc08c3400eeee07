//! The squared norm of each image's own gradient of a convolution's weights.

use rayon::prelude::*;

use super::im2col::gather;
use super::{ConvShape, Scratch};
use crate::matmul::Matrix;
use crate::sample_norms::{OuterScratch, outer_norm_sq};

/// Adds ‖∂L_i/∂W‖² of every image to `norms`; `dy` is the gradient of the sum of the losses.
///
/// # Panics
/// If a length does not fit.
pub fn add_weight_norms_sq(shape: &ConvShape, x: &[f32], dy: &[f32], norms: &mut [f64]) {
    assert!(x.len() == norms.len() * shape.in_len() && dy.len() == norms.len() * shape.out_len());
    let (depth, group_out, pixels) = (shape.taps() * shape.group_in(), shape.group_out(), shape.out_pixels());
    let images = x.par_chunks(shape.in_len()).zip(dy.par_chunks(shape.out_len())).zip(norms);
    images.for_each_init(
        Default::default,
        |(scratch, outer): &mut (Scratch, OuterScratch), ((x, dy), norm)| {
            for group in 0..shape.groups {
                let columns = gather(shape, group, x, &mut scratch.columns);
                let a = Matrix::new(columns, pixels, depth, depth);
                let b = Matrix::new(&dy[group * group_out..], pixels, group_out, shape.out_channels);
                *norm += outer_norm_sq(a, b, outer);
            }
        },
    );
}
