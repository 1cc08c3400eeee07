//! Fully connected layer, y = x Wᵀ + b.

use rayon::prelude::*;

use crate::elementwise::add_row;
use crate::matmul::{Matrix, MatrixMut, Write, matmul, matmul_parallel};
use crate::rows::add_column_sums;
use crate::sample_norms::{OuterScratch, outer_norm_sq};

/// Row strides of packed outputs are multiples of this, so that every row is a whole number of vectors.
pub const LANES: usize = 16;

/// The shape of a linear layer: W is `[out_features, in_features]`, b `[out_features]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Length of an input row.
    pub in_features: usize,
    /// Length of an output row.
    pub out_features: usize,
}

impl LinearShape {
    /// Distance between the output rows of a [`PackedLinear`]; the elements past `out_features` are written as zero.
    pub fn stride(&self) -> usize {
        self.out_features.next_multiple_of(LANES)
    }
}

/// A linear layer's parameters laid out for fast evaluation, once per point for many batches.
#[derive(Clone, Debug)]
pub struct PackedLinear {
    shape: LinearShape,
    /// Wᵀ, `[in_features, stride]`, padded with zeros.
    weight: Vec<f32>,
    /// b, padded with zeros to `stride`.
    bias: Vec<f32>,
}

impl PackedLinear {
    /// Room for a layer, filled with zeros until [`PackedLinear::pack`].
    pub fn new(shape: LinearShape) -> Self {
        let stride = shape.stride();
        Self { shape, weight: vec![0.0; shape.in_features * stride], bias: vec![0.0; stride] }
    }

    /// Lays out W (`[out_features, in_features]`) and b, or no b if that is empty.
    ///
    /// # Panics
    /// If the lengths do not fit the shape.
    pub fn pack(&mut self, weight: &[f32], bias: &[f32]) {
        let LinearShape { in_features, out_features } = self.shape;
        assert!(weight.len() == in_features * out_features && [0, out_features].contains(&bias.len()));
        let stride = self.shape.stride();
        // in blocks, so that reads and writes both stay in the first-level cache
        const BLOCK: usize = 32;
        for first_out in (0..out_features).step_by(BLOCK) {
            let outs = first_out..out_features.min(first_out + BLOCK);
            for first_in in (0..in_features).step_by(BLOCK) {
                for i in first_in..in_features.min(first_in + BLOCK) {
                    let row = &mut self.weight[i * stride..][outs.clone()];
                    for (to, o) in row.iter_mut().zip(outs.clone()) {
                        *to = weight[o * in_features + i];
                    }
                }
            }
        }
        self.bias[..bias.len()].copy_from_slice(bias);
    }

    /// y = x Wᵀ + b on the calling thread. The `rows` rows of `x` start `x_stride` elements apart,
    /// those of `y` [`LinearShape::stride`].
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn forward(&self, x: &[f32], x_stride: usize, rows: usize, y: &mut [f32]) {
        let stride = self.shape.stride();
        let x = Matrix::new(x, rows, self.shape.in_features, x_stride);
        let weight = Matrix::new(&self.weight, self.shape.in_features, stride, stride);
        let y = &mut y[..rows * stride];
        matmul(x, weight, &mut MatrixMut::new(y, rows, stride, stride), Write::Replace);
        add_row(y, &self.bias);
    }
}

/// y = x Wᵀ + b over all threads, with `x` `[rows, in]` and `y` `[rows, out]`; without b if that is empty.
///
/// # Panics
/// If a length does not fit.
pub fn forward(shape: LinearShape, weight: &[f32], bias: &[f32], x: &[f32], y: &mut [f32]) {
    product(shape, weight, x, y, Write::Replace);
    if !bias.is_empty() {
        add_row(y, bias);
    }
}

/// y = (or +=) x Wᵀ over all threads.
///
/// # Panics
/// If a length does not fit.
pub fn product(shape: LinearShape, weight: &[f32], x: &[f32], y: &mut [f32], write: Write) {
    let LinearShape { in_features, out_features } = shape;
    let rows = y.len() / out_features;
    let weight = Matrix::new(weight, out_features, in_features, in_features).transposed();
    let x = Matrix::new(x, rows, in_features, in_features);
    matmul_parallel(x, weight, &mut MatrixMut::new(y, rows, out_features, out_features), write);
}

/// dx += dy W.
///
/// # Panics
/// If a length does not fit.
pub fn backward_input(shape: LinearShape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    let LinearShape { in_features, out_features } = shape;
    let rows = dy.len() / out_features;
    let dy = Matrix::new(dy, rows, out_features, out_features);
    let weight = Matrix::new(weight, out_features, in_features, in_features);
    matmul_parallel(dy, weight, &mut MatrixMut::new(dx, rows, in_features, in_features), Write::Add);
}

/// dW += dyᵀ x, db += the sum of dy's rows unless `dbias` is empty.
///
/// # Panics
/// If a length does not fit.
pub fn backward_params(shape: LinearShape, x: &[f32], dy: &[f32], dweight: &mut [f32], dbias: &mut [f32]) {
    let LinearShape { in_features, out_features } = shape;
    let rows = dy.len() / out_features;
    let dy_transposed = Matrix::new(dy, rows, out_features, out_features).transposed();
    let x = Matrix::new(x, rows, in_features, in_features);
    let mut out = MatrixMut::new(dweight, out_features, in_features, in_features);
    matmul_parallel(dy_transposed, x, &mut out, Write::Add);
    if !dbias.is_empty() {
        add_column_sums(dy, dbias);
    }
}

/// Adds ‖∂L_i/∂W‖² of every sample to `norms`; `dy` is the gradient of the sum of the losses. A sample may have several rows.
///
/// # Panics
/// If a length does not fit.
pub fn add_weight_norms_sq(shape: LinearShape, x: &[f32], dy: &[f32], norms: &mut [f64]) {
    let LinearShape { in_features, out_features } = shape;
    let places = dy.len() / out_features / norms.len();
    assert!(x.len() == norms.len() * places * in_features && dy.len() == norms.len() * places * out_features);
    let samples = x.par_chunks(places * in_features).zip(dy.par_chunks(places * out_features)).zip(norms);
    samples.for_each_init(OuterScratch::default, |scratch, ((x, dy), norm)| {
        let a = Matrix::new(x, places, in_features, in_features);
        let b = Matrix::new(dy, places, out_features, out_features);
        *norm += outer_norm_sq(a, b, scratch);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{differences, noise, norm_error, wide};

    const SHAPE: LinearShape = LinearShape { in_features: 37, out_features: 21 };
    const ROWS: usize = 5;

    fn reference(weight: &[f64], bias: &[f64], x: &[f64]) -> Vec<f64> {
        let row = |r: usize, o: usize| -> f64 {
            let inputs = &x[r * SHAPE.in_features..][..SHAPE.in_features];
            let weights = &weight[o * SHAPE.in_features..][..SHAPE.in_features];
            inputs.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() + bias[o]
        };
        (0..ROWS * 21).map(|i| row(i / 21, i % 21)).collect()
    }

    #[test]
    fn forward_packed_and_plain_agree_with_f64() {
        let (weight, bias, x) = (noise(1, 37 * 21), noise(2, 21), noise(3, ROWS * 37));
        let expected = reference(&wide(&weight), &wide(&bias), &wide(&x));
        let mut y = vec![f32::NAN; ROWS * 21];
        forward(SHAPE, &weight, &bias, &x, &mut y);
        assert!(norm_error(&y, &expected) < 5e-7); // about sqrt(37) 2^-24
        let mut packed = PackedLinear::new(SHAPE);
        packed.pack(&weight, &bias);
        let mut padded = vec![f32::NAN; ROWS * SHAPE.stride()];
        packed.forward(&x, 37, ROWS, &mut padded);
        let rows: Vec<f32> = padded.chunks(32).flat_map(|row| &row[..21]).copied().collect();
        assert!(norm_error(&rows, &expected) < 5e-7);
        assert!(padded.chunks(32).all(|row| row[21..].iter().all(|&x| x == 0.0)));
    }

    #[test]
    fn backward_agrees_with_central_differences() {
        let (weight, bias, x) = (noise(1, 37 * 21), noise(2, 21), noise(3, ROWS * 37));
        let dy = noise(4, ROWS * 21);
        let value = |weight: &[f64], bias: &[f64], x: &[f64]| -> f64 {
            reference(weight, bias, x).iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
        };
        let (mut dx, mut dweight, mut dbias) = (vec![0.0; x.len()], vec![0.0; weight.len()], vec![0.0; 21]);
        backward_input(SHAPE, &weight, &dy, &mut dx);
        backward_params(SHAPE, &x, &dy, &mut dweight, &mut dbias);
        let (weight, bias, x) = (wide(&weight), wide(&bias), wide(&x));
        assert!(norm_error(&dx, &differences(&x, |x| value(&weight, &bias, x))) < 5e-7);
        assert!(norm_error(&dweight, &differences(&weight, |w| value(w, &bias, &x))) < 5e-7);
        assert!(norm_error(&dbias, &differences(&bias, |b| value(&weight, b, &x))) < 5e-7);
    }
}
