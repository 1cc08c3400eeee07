//! Convolution, with fused operations: a norm of its input, a sum with its output, the moments of the result.

use walk_arch::{Layer, LayerParams, Network, Op};
use walk_kernels::batch_norm::Moments;
use walk_kernels::conv::{
    self as kernel, Algorithm, ConvShape, Fusion, InputGradient, PackedConv, ParamsBackward,
};
use walk_kernels::matmul::Write;
use walk_kernels::memory::{copied, zeros};
use walk_kernels::pool::{Extremes, PoolShape};
use walk_kernels::sample_norms::add_bias_norms_sq;

use super::super::Convolution;
use super::super::fusion::{FusionGroup, PoolBeforeNorm};
use super::batch_norm::{BatchNorm, NormUse, statistics};
use super::pool::pool_shape;
use super::{
    Call, ChannelOrder, Direction, FusedLayer, Inputs, Layout, Operand, Output, Pass, Recorder, Value,
    params, values,
};
use crate::{BatchNormMode, CoreError, Point};

/// The shape of a convolution.
pub(in crate::fused) fn conv_shape(network: &Network, layer: &Layer) -> ConvShape {
    let image = network.layers()[layer.inputs[0]].shape.as_slice();
    let Op::Conv2d(options) = &layer.op else { unreachable!("only called for convolutions") };
    ConvShape {
        in_channels: image[0],
        out_channels: options.out_channels,
        groups: options.groups,
        kernel: options.kernel,
        stride: options.stride,
        padding: options.padding,
        dilation: options.dilation,
        input: [image[1], image[2]],
    }
}

pub(super) struct Conv {
    params: LayerParams,
    shape: ConvShape,
    algorithm: Algorithm,
    /// A norm of its input.
    norm: Option<BatchNorm>,
    /// Whether its second input is added to its output.
    residual: bool,
    /// Whether a norm reads its output.
    moments: bool,
    /// The pooling of its output before that norm.
    pool: Option<PooledBeforeNorm>,
    packed: Option<PackedConv>,
}

/// The values of the windows that become the largest after the norm.
struct PooledBeforeNorm {
    shape: PoolShape,
    norm: LayerParams,
    extremes: Option<Extremes>,
}

impl PooledBeforeNorm {
    fn new(network: &Network, PoolBeforeNorm { layer, norm }: PoolBeforeNorm) -> Self {
        let layers = network.layers();
        let Op::MaxPool2d(pool) = &layers[layer].op else { unreachable!("only made for poolings") };
        let shape = pool_shape(pool, &layers[layers[layer].inputs[0]].shape);
        Self { shape, norm: params(&layers[norm]), extremes: None }
    }
}

impl Conv {
    pub(super) fn new(network: &Network, group: &FusionGroup, convolution: Convolution) -> Self {
        let layer = &network.layers()[group.layer];
        let shape = conv_shape(network, layer);
        let (params, algorithm) = (params(layer), convolution.algorithm(&shape));
        let norm = group.norm.map(|norm| BatchNorm::new(network, norm));
        let (residual, moments) = (group.residual, group.moments);
        let pool = group.pool.map(|pool| PooledBeforeNorm::new(network, pool));
        Self { params, shape, algorithm, norm, residual, moments, pool, packed: None }
    }

    /// x * W + b + the residual, and the moments of its channels if they are needed.
    fn value(
        &self,
        pass: &mut Pass<'_>,
        x: Operand,
        norm: Option<NormUse>,
        residual: Option<Operand>,
    ) -> Result<(Operand, Option<Moments>), CoreError> {
        let (shape, algorithm, rows) = (self.shape, self.algorithm, x.samples());
        let theta = pass.parameters(&self.params);
        let mut packed = PackedConv::new(shape, algorithm);
        packed.pack(theta.weight(), theta.bias());
        let (mut y, write) = match &residual {
            Some(residual) => (copied(residual.values()), Write::Add),
            None => (zeros(rows * shape.out_len()), Write::Replace),
        };
        let normalizer = norm.as_ref().map(|norm| norm.normalizer());
        let fusion = Fusion { norm: normalizer.as_ref(), write };
        let mut moments = self.moments.then(Moments::default);
        packed.forward_parallel(x.values(), &mut y, fusion, moments.as_mut());
        let norms = pass.tape.norms.clone();
        let residual = residual.and_then(|residual| residual.grad);
        let value = pass.tape.record(y, rows, move |dy, spent, grads| {
            let (weight, values) = (theta.weight(), x.values());
            let norm = norm.as_ref().map(|norm| (norm, norm.backward()));
            if let Some((norm, backward)) = &norm {
                let gradient = InputGradient::new(shape, algorithm, weight);
                let mut dx = spent.take(values.len());
                let sums = gradient.write_through(backward, &dy, values, &mut dx);
                let [scale, shift] = norm.theta.gradients(grads)?;
                sums.add_to(scale, shift);
                if let Some(slot) = &x.grad {
                    let before = slot.take();
                    backward.input(values, &sums, &mut dx, &before);
                    slot.replace(dx);
                }
            } else {
                x.write_gradient(spent, |dx, write| {
                    InputGradient::new(shape, algorithm, weight).write(&dy, dx, write);
                });
            }
            if let Some(norms) = norms {
                norms.update(|norms| {
                    kernel::add_weight_norms_sq(&shape, values, &dy, norms);
                    if !theta.bias().is_empty() {
                        add_bias_norms_sq(&dy, shape.out_channels, norms);
                    }
                });
            } else {
                let norm = norm.as_ref().map(|(_, backward)| backward.normalizer());
                let [dweight, dbias] = theta.gradients(grads)?;
                let backward = ParamsBackward { x: values, norm, dy: &dy };
                kernel::backward_params(&shape, algorithm, backward, dweight, dbias);
            }
            match residual {
                Some(slot) => slot.add(dy, spent),
                None => spent.give(dy),
            }
            Ok(())
        })?;
        Ok((value, moments))
    }

    /// ẋ * W + x * V + v_b
    fn tangent(&self, tape: &mut Recorder<'_>, along: Direction) -> Result<Operand, CoreError> {
        let Direction { x, dot_x, theta, v } = along;
        let (shape, algorithm, rows) = (self.shape, self.algorithm, x.samples());
        let forward = |weight: &[f32], bias: &[f32], x: &Operand, write: Write, y: &mut [f32]| {
            let mut packed = PackedConv::new(shape, algorithm);
            packed.pack(weight, bias);
            packed.forward_parallel(x.values(), y, Fusion { norm: None, write }, None);
        };
        let mut y = zeros(rows * shape.out_len());
        forward(v.weight(), v.bias(), &x, Write::Replace, &mut y);
        if let Some(dot_x) = &dot_x {
            forward(theta.weight(), &[], dot_x, Write::Add, &mut y);
        }
        tape.record(y, rows, move |p, spent, grads| {
            let back = |input: &Operand, weight: &[f32]| {
                input.write_gradient(spent, |dx, write| {
                    InputGradient::new(shape, algorithm, weight).write(&p, dx, write);
                });
            };
            back(&x, v.weight());
            if let Some(dot_x) = &dot_x {
                back(dot_x, theta.weight());
                let [dweight, _] = theta.gradients(grads)?;
                let backward = ParamsBackward { x: dot_x.values(), norm: None, dy: &p };
                kernel::backward_params(&shape, algorithm, backward, dweight, &mut []);
            }
            spent.give(p);
            Ok(())
        })
    }
}

impl FusedLayer for Conv {
    fn layout(&self) -> Layout {
        let output = match &self.pool {
            Some(pool) => Output::New(pool.shape.out_len()),
            None if self.residual => Output::Over(1),
            None => Output::New(self.shape.out_len()),
        };
        Layout { order: Some(ChannelOrder::ChannelsLast), padded: true, output }
    }

    fn pack(&mut self, point: &Point) {
        let packed = self.packed.get_or_insert_with(|| PackedConv::new(self.shape, self.algorithm));
        let [weight, bias] = values(point, &self.params);
        packed.pack(weight, bias);
        if let Some(norm) = &mut self.norm {
            norm.pack(point);
        }
        if let Some(pool) = &mut self.pool {
            let [scale, _] = values(point, &pool.norm);
            pool.extremes = Some(Extremes::new(pool.shape, scale));
        }
    }

    fn evaluate(&self, call: Call<'_>) {
        let Call { rows, mode, x: [x, _], y, input, output, scratch } = call;
        let norm = self.norm.as_ref().map(|norm| norm.normalizer(mode, x, rows, input));
        let write = if self.residual { Write::Add } else { Write::Replace };
        let measures = self.moments && mode == BatchNormMode::Batch;
        let moments = measures.then(|| output.gathered(self.shape.out_channels));
        let laid_out = "a point is laid out before it is evaluated";
        let packed = self.packed.as_ref().expect(laid_out);
        if let Some(pool) = &self.pool {
            let extremes = pool.extremes.as_ref().expect(laid_out);
            packed.forward_pooled(x, y, norm.as_ref(), extremes, moments, &mut scratch.conv);
        } else {
            packed.forward(x, y, Fusion { norm: norm.as_ref(), write }, moments, &mut scratch.conv);
        }
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        assert!(self.pool.is_none(), "only an evaluation pools before the norm");
        let (x, residual) = inputs.one_or_two();
        let norm = self.norm.as_ref().map(|norm| norm.in_pass(pass, &x));
        let residual = residual.map(|value| value.operand);
        let (y, moments) = self.value(pass, x.operand.clone(), norm, residual)?;
        let tangent = pass.tangent(x, &self.params, |tape, along| self.tangent(tape, along))?;
        Ok(Value { statistics: moments.as_ref().map(statistics), ..Value::new(y, tangent) })
    }
}
