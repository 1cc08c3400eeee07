//! The shapes of a network's layers in walk-kernels' terms.

use walk_arch::{Conv2d, Matmul, Op, Pool2d};
use walk_kernels::batch_matmul::BatchMatmul;
use walk_kernels::conv::ConvShape;
use walk_kernels::pool::PoolShape;
use walk_kernels::rearrange::{Rearrangement, ZERO};
use walk_kernels::scale_shift::Columns;

/// Channels and pixels of a value: a vector's elements are channels of one pixel.
pub(super) fn channels_and_pixels(shape: &[usize]) -> [usize; 2] {
    [shape[0], shape[1..].iter().product()]
}

/// A convolution of images of shape `[channels, height, width]`.
pub(super) fn conv_shape(conv: &Conv2d, shape: &[usize]) -> ConvShape {
    let Conv2d { out_channels, kernel, stride, padding, dilation, groups, .. } = *conv;
    let input = [shape[1], shape[2]];
    ConvShape { in_channels: shape[0], out_channels, groups, kernel, stride, padding, dilation, input }
}

/// A pooling of images of shape `[channels, height, width]`.
pub(super) fn pool_shape(pool: &Pool2d, shape: &[usize]) -> PoolShape {
    let Pool2d { kernel, stride, padding } = *pool;
    PoolShape { channels: shape[0], kernel, stride, padding, input: [shape[1], shape[2]] }
}

/// The pooling of whole images of shape `[channels, height, width]`.
pub(super) fn whole_image(shape: &[usize]) -> PoolShape {
    let input = [shape[1], shape[2]];
    PoolShape { channels: shape[0], kernel: input, stride: input, padding: [0, 0], input }
}

/// For a layer that only moves elements, where they come from in each input; `None` for other layers.
pub(super) fn rearrangements(op: &Op, inputs: &[&[usize]], out: &[usize]) -> Option<Vec<Rearrangement>> {
    let len = |shape: &[usize]| shape.iter().product::<usize>();
    let part = |input: usize, from: &dyn Fn(usize) -> Option<usize>| {
        let place = |to: usize| from(to).map_or(ZERO, |place| place as u32);
        Rearrangement { in_len: len(inputs[input]), from: (0..len(out)).map(place).collect() }
    };
    let x = inputs[0];
    Some(match op {
        Op::Permute(permute) => {
            let strides = strides(x);
            let (to_strides, order) = (self::strides(out), &permute.order);
            vec![part(0, &|to| {
                let digit = |d: usize| to / to_strides[d] % out[d];
                Some((0..out.len()).map(|d| digit(d) * strides[order[d]]).sum())
            })]
        }
        Op::Concat(concat) => {
            let inner = len(&x[concat.axis + 1..]);
            let (first, all) = (x[concat.axis], out[concat.axis]);
            let digits = move |to: usize| (to / inner / all, to / inner % all, to % inner);
            let second = all - first;
            vec![
                part(0, &|to| {
                    let (outer, digit, rest) = digits(to);
                    (digit < first).then(|| (outer * first + digit) * inner + rest)
                }),
                part(1, &|to| {
                    let (outer, digit, rest) = digits(to);
                    (digit >= first).then(|| (outer * second + digit - first) * inner + rest)
                }),
            ]
        }
        Op::PadChannels(pad) => {
            let before = pad.before * x[1] * x[2];
            vec![part(0, &|to| to.checked_sub(before).filter(|&from| from < len(x)))]
        }
        Op::Subsample(sample) => {
            let [rows, columns] = [out[1], out[2]];
            vec![part(0, &|to| {
                let (channel, row, column) = (to / (rows * columns), to / columns % rows, to % columns);
                Some((channel * x[1] + row * sample.stride[0]) * x[2] + column * sample.stride[1])
            })]
        }
        _ => return None,
    })
}

/// Distance between neighbors along each dimension of a row-major value.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|d| shape[d + 1..].iter().product()).collect()
}

/// How γ and β, or b, are laid out along a sample.
pub(super) fn columns(op: &Op, shape: &[usize]) -> Columns {
    let all: usize = shape.iter().product();
    match op {
        Op::GroupNorm(_) => Columns { columns: shape[0], inner: all / shape[0] },
        Op::LayerNorm(norm) => {
            Columns { columns: shape[shape.len() - norm.dims..].iter().product(), inner: 1 }
        }
        _ => Columns { columns: all, inner: 1 },
    }
}

/// The matrix products of two values.
pub(super) fn batch_matmul(matmul: &Matmul, a: &[usize], b: &[usize]) -> BatchMatmul {
    let [.., rows, inner] = *a else { unreachable!("the graph check requires two dimensions") };
    let columns = b[b.len() - if matmul.transposed { 2 } else { 1 }];
    let (b_transposed, scale) = (matmul.transposed, matmul.scale);
    BatchMatmul { rows, inner, columns, a_transposed: false, b_transposed, scale }
}
