//! Pooling of images with channels last.

use std::ops::Range;

use multiversion::multiversion;
use rayon::prelude::*;

/// The shape of a pooling layer. Pairs are `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Channels of input and output.
    pub channels: usize,
    /// Size of a window.
    pub kernel: [usize; 2],
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Padding on each side.
    pub padding: [usize; 2],
    /// Height and width of the input.
    pub input: [usize; 2],
}

impl PoolShape {
    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.input[axis] + 2 * self.padding[axis] - self.kernel[axis]) / self.stride[axis] + 1
        })
    }

    /// Elements of one input image.
    pub fn in_len(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// Elements of one output image.
    pub fn out_len(&self) -> usize {
        let [height, width] = self.output();
        height * width * self.channels
    }

    /// The rows and columns of an output pixel's window, without the padding.
    fn window(&self, pixel: [usize; 2]) -> [Range<usize>; 2] {
        [0, 1].map(|axis| {
            let end = pixel[axis] * self.stride[axis] + self.kernel[axis];
            let within = |at: usize| at.saturating_sub(self.padding[axis]).min(self.input[axis]);
            within(end - self.kernel[axis])..within(end)
        })
    }

    /// Calls `visit` with every output pixel and every input pixel of its window, by pixel number.
    fn windows(&self, mut visit: impl FnMut(usize, usize)) {
        let ([rows, columns], [_, width]) = (self.output(), self.input);
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            let [down, across] = self.window([row, column]);
            for r in down {
                for c in across.clone() {
                    visit(row * columns + column, r * width + c);
                }
            }
        }
    }
}

/// The largest value of every window, on the calling thread; NaN if there is one, as in PyTorch.
///
/// # Panics
/// If a length does not fit.
pub fn max_forward(shape: &PoolShape, x: &[f32], y: &mut [f32]) {
    Extremes::new(*shape, &vec![1.0; shape.channels]).apply(x, y);
}

/// The values of windows that become the largest once each channel is multiplied by a number: the largest where that is not
/// negative, the smallest where it is; NaN if there is one.
///
/// The largest value of a window after batch norm (and ReLU) is batch norm (and ReLU) of this one, to the bit, since rounding
/// keeps the order of values. Hence a norm followed by a pooling may be applied to the pooled values.
#[derive(Clone, Debug)]
pub struct Extremes {
    shape: PoolShape,
    /// By channel, 1 or -1.
    signs: Vec<f32>,
}

impl Extremes {
    /// Of channels that are multiplied by `scale`.
    pub fn new(shape: PoolShape, scale: &[f32]) -> Self {
        Self { shape, signs: scale.iter().map(|&scale| if scale < 0.0 { -1.0 } else { 1.0 }).collect() }
    }

    /// The shape of the pooling.
    pub fn shape(&self) -> &PoolShape {
        &self.shape
    }

    /// The extremes of a batch of images, on the calling thread.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn apply(&self, x: &[f32], y: &mut [f32]) {
        let images = x.chunks_exact(self.shape.in_len()).zip(y.chunks_exact_mut(self.shape.out_len()));
        for (x, y) in images {
            extremes(&self.shape, &self.signs, x, y);
        }
    }
}

/// The extremes of an image.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn extremes(shape: &PoolShape, signs: &[f32], x: &[f32], y: &mut [f32]) {
    const LANES: usize = 16;
    let columns = shape.output()[1];
    for (pixel, y) in y.chunks_exact_mut(shape.channels).enumerate() {
        let window = shape.window([pixel / columns, pixel % columns]);
        let mut channel = 0;
        while channel + LANES <= shape.channels {
            extreme::<LANES>(shape, &window, signs, x, channel, y);
            channel += LANES;
        }
        for channel in channel..shape.channels {
            extreme::<1>(shape, &window, signs, x, channel, y);
        }
    }
}

/// The extremes of a window for N channels.
#[inline(always)]
fn extreme<const N: usize>(
    shape: &PoolShape,
    [down, across]: &[Range<usize>; 2],
    signs: &[f32],
    x: &[f32],
    channel: usize,
    y: &mut [f32],
) {
    let signs: &[f32; N] = signs[channel..][..N].as_array().expect("N signs");
    let mut best = [f32::NEG_INFINITY; N];
    for row in down.clone() {
        for column in across.clone() {
            let pixel = (row * shape.input[1] + column) * shape.channels;
            let x: &[f32; N] = x[pixel + channel..][..N].as_array().expect("N values");
            for n in 0..N {
                let x = x[n] * signs[n];
                best[n] = if x > best[n] || x.is_nan() { x } else { best[n] };
            }
        }
    }
    for n in 0..N {
        y[channel + n] = best[n] * signs[n];
    }
}

/// The position of the largest value of every window (the first among equals), as an index into its image.
///
/// # Panics
/// If a length does not fit.
pub fn max_places(shape: &PoolShape, x: &[f32]) -> Vec<u32> {
    let images = x.len() / shape.in_len();
    let mut places = vec![u32::MAX; images * shape.out_len()];
    let pairs = x.par_chunks_exact(shape.in_len()).zip(places.par_chunks_exact_mut(shape.out_len()));
    pairs.for_each(|(x, places)| {
        let mut largest = vec![f32::NEG_INFINITY; shape.out_len()];
        let n = shape.channels;
        shape.windows(|to, from| {
            let to = to * n..(to + 1) * n;
            place_larger(&x[from * n..][..n], from * n, &mut largest[to.clone()], &mut places[to]);
        });
    });
    places
}

/// Takes what is larger than the largest so far, or NaN, and its place, of which that of the first is `first`.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn place_larger(x: &[f32], first: usize, largest: &mut [f32], places: &mut [u32]) {
    for (i, ((&x, largest), place)) in x.iter().zip(largest).zip(places).enumerate() {
        let takes = x > *largest || x.is_nan() || *place == u32::MAX;
        *place = if takes { (first + i) as u32 } else { *place };
        *largest = if takes { x } else { *largest };
    }
}

/// y = x at the places, image by image: [`max_forward`] once they are known, and its derivative in any direction; over all
/// threads.
///
/// # Panics
/// If a length does not fit.
pub fn gather(shape: &PoolShape, places: &[u32], x: &[f32], y: &mut [f32]) {
    let images = x.par_chunks_exact(shape.in_len()).zip(y.par_chunks_exact_mut(shape.out_len()));
    let n = shape.channels;
    images.zip(places.par_chunks_exact(shape.out_len())).for_each(|((x, y), places)| {
        shape.windows(|to, from| {
            let to = to * n..(to + 1) * n;
            take_placed(&x[from * n..][..n], from * n, &places[to.clone()], &mut y[to]);
        });
    });
}

/// y = x where it is placed, and stays elsewhere; `first` is the place of the first.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn take_placed(x: &[f32], first: usize, places: &[u32], y: &mut [f32]) {
    for (i, ((&x, y), &place)) in x.iter().zip(y).zip(places).enumerate() {
        // with masks, since the compiler would turn a condition into a branch
        let taken = u32::from(place == (first + i) as u32).wrapping_neg();
        *y = f32::from_bits(x.to_bits() & taken | y.to_bits() & !taken);
    }
}

/// dx += dy at the places: the adjoint of [`gather`]; over all threads.
///
/// # Panics
/// If a length does not fit.
pub fn scatter_add(shape: &PoolShape, places: &[u32], dy: &[f32], dx: &mut [f32]) {
    let images = dy.par_chunks_exact(shape.out_len()).zip(dx.par_chunks_exact_mut(shape.in_len()));
    let n = shape.channels;
    images.zip(places.par_chunks_exact(shape.out_len())).for_each(|((dy, dx), places)| {
        shape.windows(|to, from| {
            let to = to * n..(to + 1) * n;
            add_placed(&dy[to.clone()], from * n, &places[to], &mut dx[from * n..][..n]);
        });
    });
}

/// dx += dy where it is placed; `first` is the place of the first.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn add_placed(dy: &[f32], first: usize, places: &[u32], dx: &mut [f32]) {
    for (i, ((&dy, dx), &place)) in dy.iter().zip(dx).zip(places).enumerate() {
        *dx = if place == (first + i) as u32 { *dx + dy } else { *dx };
    }
}

/// The mean of every window, padding counted as zeros.
///
/// # Panics
/// If a length does not fit.
pub fn avg_forward(shape: &PoolShape, x: &[f32], y: &mut [f32]) {
    let images = x.chunks_exact(shape.in_len()).zip(y.chunks_exact_mut(shape.out_len()));
    let (n, share) = (shape.channels, 1.0 / (shape.kernel[0] * shape.kernel[1]) as f32);
    for (x, y) in images {
        y.fill(0.0);
        shape.windows(|to, from| {
            y[to * n..][..n].iter_mut().zip(&x[from * n..][..n]).for_each(|(y, &x)| *y += share * x);
        });
    }
}

/// dx += the adjoint of [`avg_forward`], over all threads.
///
/// # Panics
/// If a length does not fit.
pub fn avg_backward(shape: &PoolShape, dy: &[f32], dx: &mut [f32]) {
    let images = dy.par_chunks_exact(shape.out_len()).zip(dx.par_chunks_exact_mut(shape.in_len()));
    let (n, share) = (shape.channels, 1.0 / (shape.kernel[0] * shape.kernel[1]) as f32);
    images.for_each(|(dy, dx)| {
        shape.windows(|to, from| {
            dx[from * n..][..n].iter_mut().zip(&dy[to * n..][..n]).for_each(|(dx, &dy)| *dx += share * dy);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch_norm::{Normalization, Normalizer};
    use crate::test_support::{differences, noise, norm_error, wide};

    fn shapes() -> [PoolShape; 3] {
        let plain = PoolShape { channels: 3, kernel: [2, 2], stride: [2, 2], padding: [0, 0], input: [5, 6] };
        [
            plain,
            PoolShape { kernel: [3, 2], stride: [1, 2], padding: [1, 1], ..plain },
            PoolShape { kernel: [5, 6], stride: [5, 6], ..plain }, // the whole image
        ]
    }

    #[test]
    fn max_takes_the_largest_and_its_backward_sends_the_gradient_there() {
        for shape in shapes() {
            let x = noise(1, 2 * shape.in_len());
            let (mut y, mut again) = (vec![0.0; 2 * shape.out_len()], vec![0.0; 2 * shape.out_len()]);
            max_forward(&shape, &x, &mut y);
            let places = max_places(&shape, &x);
            gather(&shape, &places, &x, &mut again);
            assert_eq!(y, again);
            let dy = noise(2, y.len());
            let value = |x: &[f64]| -> f64 {
                let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
                let mut y = vec![0.0; dy.len()];
                max_forward(&shape, &x, &mut y);
                y.iter().zip(&dy).map(|(&y, &dy)| f64::from(y) * f64::from(dy)).sum()
            };
            let mut dx = vec![0.0; x.len()];
            scatter_add(&shape, &places, &dy, &mut dx);
            // differences of f32 values over 2e-5: about 3e-3
            assert!(norm_error(&dx, &differences(&wide(&x), value)) < 1e-2);
        }
        let mut y = [0.0];
        let one = PoolShape { channels: 1, kernel: [1, 3], stride: [1, 3], padding: [0, 0], input: [1, 3] };
        max_forward(&one, &[1.0, f32::NAN, 2.0], &mut y);
        assert!(y[0].is_nan());
    }

    #[test]
    fn a_norm_of_extremes_is_the_largest_of_norms() {
        let shape =
            PoolShape { channels: 37, kernel: [2, 2], stride: [2, 2], padding: [0, 0], input: [6, 4] };
        let (mean, scale, shift) = (noise(1, 37), noise(2, 37), noise(3, 37));
        assert!(scale.iter().any(|&scale| scale < 0.0));
        let norm = Normalization { mean: &mean, var: &[0.7; 37], scale: &scale, shift: &shift, eps: 1e-5 };
        for relu in [false, true] {
            let norm = Normalizer::new(norm, relu);
            let x = noise(4, 3 * shape.in_len());
            let (mut normalized, mut expected) = (x.clone(), vec![0.0; 3 * shape.out_len()]);
            norm.apply(&x, &mut normalized);
            max_forward(&shape, &normalized, &mut expected);
            let (mut pooled, mut found) = (expected.clone(), expected.clone());
            Extremes::new(shape, &scale).apply(&x, &mut pooled);
            norm.apply(&pooled, &mut found);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_mean_and_its_adjoint_agree() {
        for shape in shapes() {
            let (x, dy) = (noise(1, 2 * shape.in_len()), noise(2, 2 * shape.out_len()));
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            avg_forward(&shape, &x, &mut y);
            avg_backward(&shape, &dy, &mut dx);
            let dot = |a: &[f32], b: &[f32]| -> f64 { wide(a).iter().zip(wide(b)).map(|(a, b)| a * b).sum() };
            assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-5); // <A x, dy> = <x, A' dy>
        }
        let shape = PoolShape { channels: 1, kernel: [2, 2], stride: [2, 2], padding: [0, 0], input: [2, 2] };
        let mut y = [0.0];
        avg_forward(&shape, &[1.0, 2.0, 3.0, 6.0], &mut y);
        assert_eq!(y, [3.0]);
    }
}
