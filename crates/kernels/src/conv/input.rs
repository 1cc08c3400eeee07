//! A convolution's input, normalized block by block as it is read, while the values are in the caches.

use super::scratch::grown;
use crate::batch_norm::Normalizer;

/// The inputs for computing the gradient of a convolution's parameters.
#[derive(Clone, Copy, Debug)]
pub struct ParamsBackward<'a> {
    /// The input, before `norm`.
    pub x: &'a [f32],
    /// The batch norm (and ReLU) that the forward pass applied to the input.
    pub norm: Option<&'a Normalizer>,
    /// The gradient of the output.
    pub dy: &'a [f32],
}

/// `x`, or, if there is a norm, the normalized `x`, written to `held`.
pub(super) fn normalized<'a>(norm: Option<&Normalizer>, x: &'a [f32], held: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(norm) = norm else { return x };
    let held = grown(held, x.len());
    norm.apply(x, held);
    held
}
