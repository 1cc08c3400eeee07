//! Layers that only move elements: permutations, concatenations, padding, windows, subsampling.

use std::sync::Arc;

use walk_arch::Op;
use walk_kernels::matmul::Write;
use walk_kernels::memory::zeros;
use walk_kernels::rearrange::{Rearrangement, ZERO};

use super::{Call, ChannelOrder, FusedLayer, Inputs, Layout, Output, Pass, Value};
use crate::CoreError;

/// The sum of the inputs, each rearranged; a concatenation pads its parts with zeros.
pub(super) struct Rearrange {
    parts: Vec<Arc<Rearrangement>>,
}

impl Rearrange {
    /// The layer `op` on values of shapes `inputs`.
    pub(super) fn new(op: &Op, inputs: &[&[usize]], out: &[usize]) -> Self {
        Self { parts: parts(op, inputs, out).into_iter().map(Arc::new).collect() }
    }

    fn part(&self, pass: &mut Pass<'_>, part: usize, x: Value) -> Result<Value, CoreError> {
        let rearrangement = &self.parts[part];
        pass.linear(x, |tape, x| {
            let mut y = zeros(x.samples() * rearrangement.from.len());
            rearrangement.apply_parallel(x.values(), &mut y);
            let rearrangement = rearrangement.clone();
            tape.map(x, y, move |dy, dx| rearrangement.backward(dy, dx))
        })
    }
}

impl FusedLayer for Rearrange {
    fn layout(&self) -> Layout {
        let output = Output::New(self.parts[0].from.len());
        Layout { order: Some(ChannelOrder::ChannelsFirst), padded: false, output }
    }

    fn evaluate(&self, call: Call<'_>) {
        for (part, (rearrangement, x)) in self.parts.iter().zip(call.x).enumerate() {
            rearrangement.apply(x, call.y, if part > 0 { Write::Add } else { Write::Replace });
        }
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let (x, other) = inputs.one_or_two();
        let first = self.part(pass, 0, x)?;
        let Some(other) = other else { return Ok(first) };
        let second = self.part(pass, 1, other)?;
        pass.add(first, second)
    }
}

/// Where the elements come from in each input.
fn parts(op: &Op, inputs: &[&[usize]], out: &[usize]) -> Vec<Rearrangement> {
    let len = |shape: &[usize]| shape.iter().product::<usize>();
    let part = |input: usize, from: &dyn Fn(usize) -> Option<usize>| {
        let place = |to: usize| from(to).map_or(ZERO, |place| place as u32);
        Rearrangement { in_len: len(inputs[input]), from: (0..len(out)).map(place).collect() }
    };
    let x = inputs[0];
    match op {
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
        Op::Crop(crop) => {
            let (strides, to_strides) = (strides(x), self::strides(out));
            vec![part(0, &|to| {
                let mut from = 0;
                for d in 0..out.len() {
                    let digit = usize::try_from((to / to_strides[d] % out[d]) as i64 + crop.start[d]).ok()?;
                    from += (digit < x[d]).then_some(digit * strides[d])?;
                }
                Some(from)
            })]
        }
        Op::Subsample(sample) => {
            let [rows, columns] = [out[1], out[2]];
            vec![part(0, &|to| {
                let (channel, row, column) = (to / (rows * columns), to / columns % rows, to % columns);
                Some((channel * x[1] + row * sample.stride[0]) * x[2] + column * sample.stride[1])
            })]
        }
        other => unreachable!("{} does more than move elements", other.name()),
    }
}

/// Distance between neighbors along each dimension of a row-major value.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|d| shape[d + 1..].iter().product()).collect()
}
