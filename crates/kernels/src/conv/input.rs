//! A convolution's input as it is read: normalized block by block, while the values are in the caches.

use crate::batch_norm::Normalizer;

/// `x`, normalised into `held` if there is a norm.
pub(super) fn normalized<'a>(norm: Option<&Normalizer>, x: &'a [f32], held: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(norm) = norm else { return x };
    held.resize(x.len().max(held.len()), 0.0);
    let held = &mut held[..x.len()];
    norm.apply(x, held);
    held
}
