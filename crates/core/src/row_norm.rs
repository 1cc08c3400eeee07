//! The normalization of layer and group norm.

use walk_arch::Op;

/// Which elements are standardized together: rows of `len` elements, with ε added to the variance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowNorm {
    pub(crate) len: usize,
    pub(crate) eps: f32,
}

impl RowNorm {
    /// That of layer or group norm on a value of shape `shape`, `None` for other operations.
    pub(crate) fn new(op: &Op, shape: &[usize]) -> Option<Self> {
        let len = |shape: &[usize]| shape.iter().product::<usize>();
        match op {
            Op::GroupNorm(norm) => Some(Self { len: len(shape) / norm.groups, eps: norm.eps }),
            Op::LayerNorm(norm) => Some(Self { len: len(&shape[shape.len() - norm.dims..]), eps: norm.eps }),
            _ => None,
        }
    }
}
