//! y = x Wᵀ + b along the last dimension.

use walk_arch::{Layer, LayerParams};
use walk_kernels::linear::{self as kernel, LinearShape, PackedLinear};
use walk_kernels::matmul::Write;
use walk_kernels::memory::zeros;
use walk_kernels::sample_norms::add_bias_norms_sq;

use super::{
    Call, ChannelOrder, Direction, FusedLayer, Inputs, Layout, Operand, Output, Pass, Recorder, Value,
    params, values,
};
use crate::{CoreError, Point};

pub(super) struct Linear {
    params: LayerParams,
    shape: LinearShape,
    /// Rows of a sample.
    pieces: usize,
    packed: Option<PackedLinear>,
}

impl Linear {
    /// On values of shape `shape`.
    pub(super) fn new(layer: &Layer, shape: &[usize]) -> Self {
        let last = |shape: &[usize]| *shape.last().expect("the graph check requires a dimension");
        let shape = LinearShape { in_features: last(shape), out_features: last(&layer.shape) };
        let pieces = layer.len() / shape.out_features;
        Self { params: params(layer), shape, pieces, packed: None }
    }

    fn value(&self, pass: &mut Pass<'_>, x: Operand) -> Result<Operand, CoreError> {
        let (shape, theta) = (self.shape, pass.parameters(&self.params));
        let mut y = zeros(x.len() / shape.in_features * shape.out_features);
        kernel::forward(shape, theta.weight(), theta.bias(), x.values(), &mut y);
        let norms = pass.tape.norms.clone();
        pass.tape.record(y, x.samples(), move |dy, spent, grads| {
            x.update_gradient(|dx| kernel::backward_input(shape, theta.weight(), &dy, dx));
            let values = x.values();
            if let Some(norms) = norms {
                norms.update(|norms| {
                    kernel::add_weight_norms_sq(shape, values, &dy, norms);
                    if !theta.bias().is_empty() {
                        add_bias_norms_sq(&dy, shape.out_features, norms);
                    }
                });
            } else {
                let [dweight, dbias] = theta.gradients(grads)?;
                kernel::backward_params(shape, values, &dy, dweight, dbias);
            }
            spent.give(dy);
            Ok(())
        })
    }

    /// ẋ Wᵀ + x Vᵀ + v_b
    fn tangent(&self, tape: &mut Recorder<'_>, along: Direction) -> Result<Operand, CoreError> {
        let Direction { x, dot_x, theta, v } = along;
        let shape = self.shape;
        let mut y = zeros(x.len() / shape.in_features * shape.out_features);
        kernel::forward(shape, v.weight(), v.bias(), x.values(), &mut y);
        if let Some(dot_x) = &dot_x {
            kernel::product(shape, theta.weight(), dot_x.values(), &mut y, Write::Add);
        }
        tape.record(y, x.samples(), move |p, spent, grads| {
            let back = |input: &Operand, weight: &[f32]| {
                input.update_gradient(|dx| kernel::backward_input(shape, weight, &p, dx));
            };
            back(&x, v.weight());
            if let Some(dot_x) = &dot_x {
                back(dot_x, theta.weight());
                let [dweight, _] = theta.gradients(grads)?;
                kernel::backward_params(shape, dot_x.values(), &p, dweight, &mut []);
            }
            spent.give(p);
            Ok(())
        })
    }
}

impl FusedLayer for Linear {
    fn layout(&self) -> Layout {
        // one row per sample may be followed by padding, which later layers skip
        let padded = self.pieces == 1;
        let len = if padded { self.shape.stride() } else { self.pieces * self.shape.out_features };
        Layout { order: Some(ChannelOrder::ChannelsFirst), padded, output: Output::New(len) }
    }

    fn pack(&mut self, point: &Point) {
        let packed = self.packed.get_or_insert_with(|| PackedLinear::new(self.shape));
        let [weight, bias] = values(point, &self.params);
        packed.pack(weight, bias);
    }

    fn evaluate(&self, Call { rows, x: [x, _], y, scratch, .. }: Call<'_>) {
        let (rows, stride, len) = (rows * self.pieces, self.shape.stride(), self.shape.out_features);
        let x_stride = x.len() / rows;
        let packed = self.packed.as_ref().expect("a point is laid out before it is evaluated");
        if y.len() == rows * stride {
            return packed.forward(x, x_stride, rows, y);
        }
        let padded = &mut scratch.rows;
        padded.resize(rows * stride, 0.0);
        packed.forward(x, x_stride, rows, padded);
        let pieces = padded.chunks_exact(stride).zip(y.chunks_exact_mut(len));
        pieces.for_each(|(padded, y)| y.copy_from_slice(&padded[..len]));
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let x = inputs.one();
        let y = self.value(pass, x.operand.clone())?;
        let tangent = pass.tangent(x, &self.params, |tape, along| self.tangent(tape, along))?;
        Ok(Value::new(y, tangent))
    }
}
