//! Shapes and parameters of the layers on vectors and images.

use super::error::{GraphError, MAX_VALUE};
use super::partial_network::{
    PartialNetwork, at_least_one, check_init, check_number, elements, image, too_large,
};
use crate::{Init, Layer, LayerBuffers, LayerParams, Node, Op, Pool2d, Problem};

impl PartialNetwork {
    /// Checks the next layer and appends it.
    pub(super) fn add_layer(&mut self, node: &Node, problem: &Problem) -> Result<(), GraphError> {
        let mut layer = Layer {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs: node.inputs.clone(),
            shape: vec![],
            params: None,
            buffers: None,
        };
        let inputs: Vec<&[usize]> =
            node.inputs.iter().map(|&input| self.layers[input].shape.as_slice()).collect();
        let mismatch = |found: &[usize], expected: String| GraphError::Shape {
            layer: node.name.clone(),
            op: node.op.name(),
            found: found.to_vec(),
            expected,
        };
        match (&node.op, inputs.as_slice()) {
            (Op::Input, _) => layer.shape = problem.input.clone(),
            (Op::Activation(_), [x]) => layer.shape = x.to_vec(),
            (Op::Flatten, [x]) => layer.shape = vec![x.iter().product()],
            (Op::Add, [a, b]) => {
                if a != b {
                    return Err(mismatch(b, format!("{a:?}, the shape of its first input")));
                }
                layer.shape = a.to_vec();
            }
            (Op::Linear(linear), [x]) => {
                // a linear layer on an image most likely lacks a flatten before it
                let (lead, in_features) = match x.split_last() {
                    Some((&last, lead)) if lead.len() < 2 => (lead.to_vec(), last),
                    _ => return Err(mismatch(x, "a vector or [rows, features] (flatten it first)".into())),
                };
                let out_features = at_least_one(node, "out_features", linear.out_features)?;
                check_init(node, "weight_init", linear.weight_init)?;
                check_init(node, "bias_init", linear.bias_init)?;
                let weight = self.param(
                    node,
                    "weight",
                    &[out_features, in_features],
                    linear.weight_init,
                    in_features,
                )?;
                let biases = if linear.bias { out_features } else { 0 };
                let bias = self.bias(node, biases, linear.bias_init, in_features)?;
                layer.shape = [lead, vec![out_features]].concat();
                layer.params = Some(LayerParams { weight, bias });
            }
            (Op::Conv2d(conv), [x]) => {
                let [channels, height, width] = image(x).map_err(|expected| mismatch(x, expected))?;
                at_least_one(node, "out_channels", conv.out_channels)?;
                let groups = at_least_one(node, "groups", conv.groups)?;
                if !channels.is_multiple_of(groups) || !conv.out_channels.is_multiple_of(groups) {
                    let expected = format!(
                        "channels and filters ({}) divisible by groups ({groups})",
                        conv.out_channels
                    );
                    return Err(mismatch(x, expected));
                }
                check_init(node, "weight_init", conv.weight_init)?;
                check_init(node, "bias_init", conv.bias_init)?;
                let window = Window { kernel: conv.kernel, stride: conv.stride, padding: conv.padding };
                let [rows, columns] = window.outputs(node, [height, width], conv.dilation, &mismatch)?;
                let [kh, kw] = conv.kernel;
                let shape = [conv.out_channels, channels / groups, kh, kw];
                let fan_in = elements(&shape[1..]).unwrap_or(usize::MAX);
                let weight = self.param(node, "weight", &shape, conv.weight_init, fan_in)?;
                let biases = if conv.bias { conv.out_channels } else { 0 };
                let bias = self.bias(node, biases, conv.bias_init, fan_in)?;
                layer.shape = vec![conv.out_channels, rows, columns];
                layer.params = Some(LayerParams { weight, bias });
            }
            (Op::MaxPool2d(pool) | Op::AvgPool2d(pool), [x]) => {
                let [channels, height, width] = image(x).map_err(|expected| mismatch(x, expected))?;
                let Pool2d { kernel, stride, padding } = *pool;
                if padding[0] > kernel[0] / 2 || padding[1] > kernel[1] / 2 {
                    let (layer, found) = (node.name.clone(), format!("{padding:?}"));
                    return Err(GraphError::Field {
                        layer,
                        field: "padding",
                        found,
                        expected: "at most half a window",
                    });
                }
                let window = Window { kernel, stride, padding };
                let [rows, columns] = window.outputs(node, [height, width], [1, 1], &mismatch)?;
                layer.shape = vec![channels, rows, columns];
            }
            (Op::GlobalAvgPool, [x]) => {
                let [channels, ..] = image(x).map_err(|expected| mismatch(x, expected))?;
                layer.shape = vec![channels];
            }
            (Op::BatchNorm(norm), [x]) => {
                if !matches!(x.len(), 1 | 3) {
                    return Err(mismatch(x, "a vector or [channels, height, width]".into()));
                }
                let (features, shape) = (x[0], x.to_vec());
                check_number(node, "eps", norm.eps, f32::MIN_POSITIVE..=1.0, "a number above 0, at most 1")?;
                check_number(node, "momentum", norm.momentum, 0.0..=1.0, "a number from 0 to 1")?;
                check_init(node, "scale_init", norm.scale_init)?;
                let weight = self.param(node, "weight", &[features], norm.scale_init, features)?;
                let bias = self.param(node, "bias", &[features], Init::Constant(0.0), features)?;
                layer.shape = shape;
                layer.params = Some(LayerParams { weight, bias });
                layer.buffers = Some(LayerBuffers {
                    mean: self.buffer(node, "running_mean", features, 0.0),
                    var: self.buffer(node, "running_var", features, 1.0),
                });
            }
            _ => self.tensor_layer(node, &node.inputs, &mut layer)?,
        }
        if elements(&layer.shape).is_none_or(|n| n > MAX_VALUE) {
            return Err(too_large(node, "its value for one sample", MAX_VALUE));
        }
        self.layers.push(layer);
        Ok(())
    }
}

/// A window that moves over an image.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl Window {
    /// Number of places, down and across.
    fn outputs(
        &self,
        node: &Node,
        image: [usize; 2],
        dilation: [usize; 2],
        mismatch: &dyn Fn(&[usize], String) -> GraphError,
    ) -> Result<[usize; 2], GraphError> {
        let mut places = [0; 2];
        for axis in 0..2 {
            let kernel = at_least_one(node, "kernel", self.kernel[axis])?;
            let stride = at_least_one(node, "stride", self.stride[axis])?;
            let dilation = at_least_one(node, "dilation", dilation[axis])?;
            let span = (kernel - 1).checked_mul(dilation).and_then(|n| n.checked_add(1));
            let padded = self.padding[axis].checked_mul(2).and_then(|n| n.checked_add(image[axis]));
            let (Some(span), Some(padded)) = (span, padded.filter(|&n| n <= MAX_VALUE)) else {
                return Err(too_large(node, "its padded input", MAX_VALUE));
            };
            if span > padded {
                return Err(mismatch(&image, format!("at least {span} with padding along axis {axis}")));
            }
            places[axis] = (padded - span) / stride + 1;
        }
        Ok(places)
    }
}
