//! The normalization of layer and group norm, and how trained scales and shifts are laid out.

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

/// How γ and β, or one of them, are laid out along a sample of shape `shape`: a sample is `[outer, columns, inner]`, and each
/// column has a γ and a β. Returns `[columns, inner]`.
pub(crate) fn trained_columns(op: &Op, shape: &[usize]) -> [usize; 2] {
    let len = |shape: &[usize]| shape.iter().product::<usize>();
    let between = |[first, end]: [usize; 2]| [len(&shape[first..end]), len(&shape[end..])];
    let all = [0, shape.len()];
    match op {
        Op::GroupNorm(_) => between([0, 1]),
        Op::LayerNorm(norm) => between([shape.len() - norm.dims, shape.len()]),
        Op::Bias(bias) => between(bias.axes.unwrap_or(all)),
        Op::Scale(scale) => between(scale.axes.unwrap_or(all)),
        _ => between(all),
    }
}
