//! Reusable buffers of a running convolution.

use std::sync::Mutex;

use crate::memory::{LINE, on_a_line};

/// One thread's buffers, which grow to the largest size needed and are kept.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Normalized inputs.
    pub(super) normalized: Vec<f32>,
    /// Gathered windows, or transformed inputs.
    pub(super) columns: Vec<f32>,
    /// Products of transformed inputs and filters.
    pub(super) products: Vec<f32>,
    /// Outputs that are pooled.
    pub(super) outputs: Vec<f32>,
}

/// `len` elements of a buffer, which grows if it is shorter, from a boundary of a cache line on; what is in them is unspecified.
pub(super) fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len + LINE {
        buffer.resize(len + LINE, 0.0);
    }
    on_a_line(buffer, len)
}

/// Buffers that threads borrow and return.
#[derive(Default)]
pub(super) struct ScratchPool(Mutex<Vec<Scratch>>);

impl ScratchPool {
    pub(super) fn with(&self, work: impl FnOnce(&mut Scratch)) {
        let lock = || self.0.lock().expect("no holder of this lock panics");
        let mut scratch = lock().pop().unwrap_or_default();
        work(&mut scratch);
        lock().push(scratch);
    }
}
