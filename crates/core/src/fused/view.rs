//! A CPU tensor's elements as a slice. dfdx gives access to single elements only, and a copy costs as much as a layer.
#![expect(unsafe_code, reason = "the one place that views a CPU tensor as a slice")]

use dfdx::shapes::HasShape;
use dfdx::tensor::Cpu;

use crate::tensors::{Flat, Rows};

/// The elements of a vector.
pub(super) fn flat<T>(tensor: &Flat<Cpu, T>) -> &[f32] {
    let len = tensor.shape().0;
    if len == 0 {
        return &[];
    }
    let (first, last) = (&raw const tensor[[0]], &raw const tensor[[len - 1]]);
    // SAFETY: the elements of a vector belong to the tensor, whose borrow the result keeps
    unsafe { span(first, last, len) }
}

/// The elements of a batch, row after row.
pub(super) fn rows<T>(tensor: &Rows<Cpu, T>) -> &[f32] {
    let (rows, columns) = *tensor.shape();
    if rows * columns == 0 {
        return &[];
    }
    let (first, last) = (&raw const tensor[[0, 0]], &raw const tensor[[rows - 1, columns - 1]]);
    if rows > 1 && columns > 1 {
        assert!(std::ptr::eq(first.wrapping_add(1), &raw const tensor[[0, 1]]), "only contiguous tensors");
    }
    // SAFETY: the elements of a batch belong to the tensor, whose borrow the result keeps
    unsafe { span(first, last, rows * columns) }
}

/// The elements from `first` to `last`, which must be `len` - 1 apart.
///
/// # Safety
/// Both are elements of one Cpu tensor with row-major strides, which is borrowed for `'a`.
unsafe fn span<'a>(first: *const f32, last: *const f32, len: usize) -> &'a [f32] {
    assert!(std::ptr::eq(first.wrapping_add(len - 1), last), "only contiguous tensors");
    // SAFETY: a Cpu tensor keeps its elements in one Vec<f32>, and by contract first and last belong to the same one
    unsafe { std::slice::from_raw_parts(first, len) }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    #[test]
    fn sees_what_the_tensor_holds() {
        let device = Cpu::default();
        let tensor = device.try_tensor_from_vec((0..6u8).map(f32::from).collect(), (2usize, 3usize)).unwrap();
        assert_eq!(super::rows(&tensor), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(super::flat(&tensor.reshape_like(&(6usize,))), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    #[should_panic(expected = "only contiguous tensors")]
    fn refuses_a_transposed_view() {
        let device = Cpu::default();
        let tensor = device.try_tensor_from_vec(vec![0.0f32; 6], (2usize, 3usize)).unwrap();
        let transposed: Tensor<(usize, usize), f32, Cpu> = tensor.permute::<_, Axes2<1, 0>>();
        let _ = super::rows(&transposed);
    }
}
