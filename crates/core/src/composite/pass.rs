//! Runs a network in dfdx operations, with or without a tape and a direction.

use dfdx::prelude::*;
use walk_arch::{Layer, LayerParams, Op};

use super::layers::ChannelStatistics;
use super::number::Number;
use super::tensor_layers::concat;
use super::{image, layers, tangents, tensor_layers};
use crate::backend::BatchStatistics;
use crate::executor::{layer_by_layer, walk};
use crate::row_norm::{RowNorm, trained_columns};
use crate::tensors::{At, DirectionalForward, Flat, Forward, Rows};
use crate::{BatchNormMode, CoreError};

/// A layer's value, and its tangent if there is a direction and the tangent is not zero.
#[derive(Clone)]
struct Value<E: Number, D: Device<E>> {
    rows: Rows<D, NoneTape, E>,
    tangent: Option<Rows<D, NoneTape, E>>,
}

/// A forward pass in progress.
struct Pass<'a, E: Number, D: Device<E>, T> {
    device: &'a D,
    at: At<'a, D, E>,
    direction: Option<&'a Flat<D, NoneTape, E>>,
    tape: T,
    statistics: Vec<(usize, BatchStatistics)>,
}

/// The outputs for a batch of inputs, and their tangent along `direction`, a direction of θ, if there is one.
pub(super) fn forward<'a, E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &'a D,
    at: At<'a, D, E>,
    inputs: Rows<D, NoneTape, E>,
    direction: Option<&'a Flat<D, NoneTape, E>>,
) -> Result<DirectionalForward<D, T, E>, CoreError> {
    let (wires, output) = (layer_by_layer(at.network), at.network.output());
    let layers = at.network.layers();
    let mut pass = Pass { device, at, direction, tape: T::default(), statistics: vec![] };
    let outputs = walk(wires.iter(), output, Value { rows: inputs, tangent: None }, |place, operands| {
        let index = wires[place].value;
        pass.step(index, &layers[index], operands)
    })?;
    let forward = Forward { outputs: outputs.rows.put_tape(pass.tape), statistics: pass.statistics };
    Ok(DirectionalForward { forward, tangent: outputs.tangent })
}

impl<E: Number, D: Device<E>, T: Tape<E, D>> Pass<'_, E, D, T> {
    /// Runs an operation on the tape and keeps the tape of its result.
    fn run(
        &mut self,
        x: &Rows<D, NoneTape, E>,
        operation: impl FnOnce(Rows<D, T, E>) -> Result<Rows<D, T, E>, D::Err>,
    ) -> Result<Rows<D, NoneTape, E>, CoreError> {
        let x = x.clone().put_tape(std::mem::take(&mut self.tape));
        let (y, tape) = operation(x).map_err(CoreError::device)?.split_tape();
        self.tape = tape;
        Ok(y)
    }

    /// A layer that is linear in its only input.
    fn linear(
        &mut self,
        x: Value<E, D>,
        operation: impl Fn(Rows<D, T, E>) -> Result<Rows<D, T, E>, D::Err>,
    ) -> Result<Value<E, D>, CoreError> {
        let rows = self.run(&x.rows, &operation)?;
        let tangent = x.tangent.map(|dot| self.run(&dot, &operation)).transpose()?;
        Ok(Value { rows, tangent })
    }

    fn sum(
        &mut self,
        a: Option<Rows<D, NoneTape, E>>,
        b: Option<Rows<D, NoneTape, E>>,
    ) -> Result<Option<Rows<D, NoneTape, E>>, CoreError> {
        match (a, b) {
            (Some(a), Some(b)) => self.run(&a, |a| layers::add(a, b)).map(Some),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// A product of any kind: ẏ = ȧ b + a ḃ.
    fn bilinear(
        &mut self,
        a: Value<E, D>,
        b: Value<E, D>,
        product: impl Fn(Rows<D, T, E>, Rows<D, NoneTape, E>) -> Result<Rows<D, T, E>, D::Err>,
    ) -> Result<Value<E, D>, CoreError> {
        let rows = self.run(&a.rows, |x| product(x, b.rows.clone()))?;
        let left = a.tangent.map(|dot| self.run(&dot, |dot| product(dot, b.rows.clone()))).transpose()?;
        let right = b.tangent.map(|dot| self.run(&a.rows, |x| product(x, dot))).transpose()?;
        let tangent = self.sum(left, right)?;
        Ok(Value { rows, tangent })
    }

    /// A layer that is linear in its input and affine in its parameters: ẏ = f(ẋ; W) + f(x; V) + v_b.
    fn affine(
        &mut self,
        x: Value<E, D>,
        params: &LayerParams,
        layer: impl Fn(Rows<D, T, E>, &Flat<D, NoneTape, E>, &LayerParams) -> Result<Rows<D, T, E>, D::Err>,
    ) -> Result<Value<E, D>, CoreError> {
        let rows = self.run(&x.rows, |x| layer(x, self.at.theta, params))?;
        let Some(v) = self.direction else { return Ok(Value { rows, tangent: None }) };
        let own = self.run(&x.rows, |x| layer(x, v, params))?;
        let end = params.weight.end;
        let without_bias = LayerParams { weight: params.weight.clone(), bias: end..end };
        let theta = self.at.theta;
        let through = x.tangent.map(|dot| self.run(&dot, |dot| layer(dot, theta, &without_bias)));
        let tangent = self.sum(Some(own), through.transpose()?)?;
        Ok(Value { rows, tangent })
    }

    fn step(
        &mut self,
        index: usize,
        layer: &Layer,
        operands: Vec<Value<E, D>>,
    ) -> Result<Value<E, D>, CoreError> {
        let mut operands = operands.into_iter();
        let mut next = || operands.next().expect("the graph check holds layers to their arity");
        let x = next();
        let shapes: Vec<&[usize]> =
            layer.inputs.iter().map(|&input| self.at.network.layers()[input].shape.as_slice()).collect();
        let (device, shape) = (self.device, shapes[0]);
        let params = || layer.params.as_ref().expect("the graph check gives it parameters");
        match &layer.op {
            Op::Input | Op::Flatten | Op::Reshape(_) => Ok(x), // values are rows already
            Op::Linear(linear) => self.affine(x, params(), |x, theta, params| {
                layers::linear(x, theta, params, shape, linear.out_features)
            }),
            Op::Conv2d(conv) => self
                .affine(x, params(), |x, theta, params| image::conv2d(device, x, theta, params, conv, shape)),
            Op::BatchNorm(norm) => {
                let running = layer.buffers.as_ref().filter(|_| self.at.mode == BatchNormMode::Running);
                let running = running.map(|place| {
                    let buffer = |range: &std::ops::Range<usize>| -> Vec<E> {
                        self.at.buffers[range.clone()].iter().map(|&x| E::of(x.into())).collect()
                    };
                    ChannelStatistics { mean: buffer(&place.mean), var: buffer(&place.var) }
                });
                let given = running.clone();
                let mut measured = None;
                let rows = self.run(&x.rows, |x| {
                    let standardized = layers::standardize(device, x, norm.eps, shape, given)?;
                    measured = standardized.statistics;
                    Ok(standardized.hat)
                })?;
                self.statistics.extend(measured.map(|measured| (index, measured)));
                let tangent = x.tangent.map(|dot| {
                    self.run(&x.rows, |x| tangents::standardize(device, x, dot, norm.eps, shape, running))
                });
                let hat = Value { rows, tangent: tangent.transpose()? };
                let pixels = shape[1..].iter().product();
                self.affine(hat, params(), |x, theta, params| {
                    tensor_layers::scale_shift(x, theta, params, [shape[0], pixels])
                })
            }
            Op::MaxPool2d(pool) => {
                let places = image::max_places(&x.rows, pool, shape);
                self.linear(x, |x| image::max_pool2d(device, x, places.clone()))
            }
            Op::AvgPool2d(pool) => self.linear(x, |x| image::avg_pool2d(device, x, pool, shape)),
            Op::GlobalAvgPool => self.linear(x, |x| image::global_avg_pool(x, shape)),
            Op::Activation(kind) => {
                let rows = self.run(&x.rows, |x| layers::activation(x, *kind))?;
                let tangent =
                    x.tangent.map(|dot| self.run(&x.rows, |x| tangents::activation(device, x, dot, *kind)));
                Ok(Value { rows, tangent: tangent.transpose()? })
            }
            Op::Add => {
                let b = next();
                let rows = self.run(&x.rows, |a| layers::add(a, b.rows))?;
                Ok(Value { rows, tangent: self.sum(x.tangent, b.tangent)? })
            }
            Op::Mul => self.bilinear(x, next(), tensor_layers::mul),
            Op::Matmul(matmul) => {
                self.bilinear(x, next(), |a, b| tensor_layers::matmul(a, b, [shape, shapes[1]], matmul))
            }
            Op::Concat(options) => {
                let (b, shapes) = (next(), [shape, shapes[1]]);
                let rows = self.run(&x.rows, |a| concat(a, b.rows.clone(), shapes, options.axis))?;
                let tangent = if x.tangent.is_none() && b.tangent.is_none() {
                    None
                } else {
                    let zeros = |like: &Rows<D, NoneTape, E>| {
                        let shape = *like.shape();
                        let zeros = device.try_tensor_from_vec(vec![E::default(); shape.0 * shape.1], shape);
                        zeros.map_err(CoreError::device)
                    };
                    let dot_a = x.tangent.map_or_else(|| zeros(&x.rows), Ok)?;
                    let dot_b = b.tangent.map_or_else(|| zeros(&b.rows), Ok)?;
                    Some(self.run(&dot_a, |a| concat(a, dot_b, shapes, options.axis))?)
                };
                Ok(Value { rows, tangent })
            }
            Op::Permute(_) | Op::PadChannels(_) | Op::Subsample(_) | Op::Crop(_) => {
                self.linear(x, |x| tensor_layers::rearrange(device, x, &layer.op, shape, &layer.shape))
            }
            Op::Softmax => {
                let len = *shape.last().expect("shapes have a dimension");
                let rows = self.run(&x.rows, |x| tensor_layers::softmax(x, len))?;
                let tangent =
                    x.tangent.map(|dot| self.run(&rows, |y| tangents::softmax(y, dot, len))).transpose()?;
                Ok(Value { rows, tangent })
            }
            Op::LayerNorm(_) | Op::GroupNorm(_) => {
                let norm = RowNorm::new(&layer.op, shape).expect("both standardize rows");
                self.row_norm(x, params(), norm, trained_columns(&layer.op, shape))
            }
            Op::Bias(_) => {
                let columns = trained_columns(&layer.op, shape);
                let rows =
                    self.run(&x.rows, |x| tensor_layers::shift(x, self.at.theta, params(), columns))?;
                let own = self.direction.map(|v| {
                    let zeros = self.run(&x.rows, |x| x.try_mul(E::default()))?;
                    self.run(&zeros, |zeros| tensor_layers::shift(zeros, v, params(), columns))
                });
                let own = own.transpose()?;
                Ok(Value { rows, tangent: self.sum(x.tangent, own)? })
            }
            Op::Scale(_) => {
                let columns = trained_columns(&layer.op, shape);
                self.affine(x, params(), |x, theta, params| {
                    tensor_layers::scale_shift(x, theta, params, columns)
                })
            }
            Op::Affine(affine) => {
                let [scale, shift] = [affine.scale, affine.shift].map(|x| E::of(x.into()));
                let rows = self.run(&x.rows, |x| x.try_mul(scale)?.try_add(shift))?;
                let tangent = x.tangent.map(|dot| self.run(&dot, |dot| dot.try_mul(scale))).transpose()?;
                Ok(Value { rows, tangent })
            }
            Op::Dropout(dropout) => {
                let Some(draw) = self.at.dropout else { return Ok(x) };
                let (rows, len) = *x.rows.shape();
                let mask = draw.mask(dropout.p, index, rows * len);
                self.linear(x, |x| tensor_layers::times(device, x, mask.clone()))
            }
        }
    }

    /// Layer or group norm: rows are standardized, then scaled and shifted by column.
    fn row_norm(
        &mut self,
        x: Value<E, D>,
        params: &LayerParams,
        RowNorm { len, eps }: RowNorm,
        columns: [usize; 2],
    ) -> Result<Value<E, D>, CoreError> {
        let rows = self.run(&x.rows, |x| tensor_layers::standardize(x, len, eps))?;
        let tangent =
            x.tangent.map(|dot| self.run(&x.rows, |x| tangents::standardize_rows(x, dot, len, eps)));
        let hat = Value { rows, tangent: tangent.transpose()? };
        if params.weight.is_empty() {
            return Ok(hat);
        }
        self.affine(hat, params, |x, theta, params| tensor_layers::scale_shift(x, theta, params, columns))
    }
}
