//! Checks a graph from an untrusted plugin and infers every shape.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::{
    BufferSpec, Graph, Init, Layer, LayerBuffers, LayerParams, Network, Node, Op, ParamSpec, Pool2d, Problem,
};

/// Most layers of a graph.
const MAX_LAYERS: usize = 10_000;
/// Most elements of one layer's value for one sample: 256 Mi, 1 GiB of f32.
const MAX_VALUE: usize = 1 << 28;
/// Most parameters in all: 2 Gi, 8 GiB of f32.
const MAX_PARAMS: usize = 1 << 31;
/// Longest layer name in bytes.
const MAX_NAME: usize = 200;

/// Why a graph is not a network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum GraphError {
    #[error("the graph has {found} layers, expected 1 to {MAX_LAYERS}")]
    LayerCount { found: usize },
    #[error("layer {index} (`{name}`) must {}be the input: the first layer is the input, and no other", if *.index == 0 { "" } else { "not " })]
    InputPlace { index: usize, name: String },
    #[error(
        "layer {index} has the name `{name}`, expected 1 to {MAX_NAME} printable bytes without white space"
    )]
    Name { index: usize, name: String },
    #[error("two layers are called `{name}`; names must be unique")]
    DuplicateName { name: String },
    #[error("layer `{layer}` ({op}) has {found} inputs, expected {expected}")]
    InputCount { layer: String, op: &'static str, found: usize, expected: usize },
    #[error("layer `{layer}` reads node {input}, but the graph has only {count} nodes")]
    UnknownInput { layer: String, input: usize, count: usize },
    #[error(
        "layer `{layer}` reads `{input}`, which does not come before it: the graph is cyclic or out of order"
    )]
    Cycle { layer: String, input: String },
    #[error("layer `{layer}` ({op}) got an input of shape {found:?}, expected {expected}")]
    Shape { layer: String, op: &'static str, found: Vec<usize>, expected: String },
    #[error("layer `{layer}`: `{field}` = {found}, expected {expected}")]
    Field { layer: String, field: &'static str, found: String, expected: &'static str },
    #[error("layer `{layer}` is too large: {what} would have more than {limit} elements")]
    TooLarge { layer: String, what: &'static str, limit: usize },
    #[error("the graph names no output; finish the network with the value of its last layer")]
    NoOutput,
    #[error("the graph's output is node {output}, but it has only {count} nodes")]
    UnknownOutput { output: usize, count: usize },
    #[error("the output layer `{layer}` has shape {found:?}, expected [{classes}]: one value per class")]
    OutputShape { layer: String, found: Vec<usize>, classes: usize },
    #[error("layer `{layer}` does not lead to the output; remove it or connect it")]
    Unused { layer: String },
    #[error("the network has no parameters to train")]
    NoParams,
    #[error(
        "the input shape {found:?} is not usable: expected 1 to 4 dimensions, each at least 1, at most {MAX_VALUE} elements"
    )]
    Input { found: Vec<usize> },
    #[error("{found} classes, expected at least 2")]
    Classes { found: usize },
}

impl Graph {
    /// Checks everything and lays the parameters out in one flat vector, layer after layer, weight before bias.
    ///
    /// # Errors
    /// A [`GraphError`] for the first thing found wrong, named by layer, with the shapes.
    pub fn check(&self, problem: &Problem) -> Result<Network, GraphError> {
        check_problem(problem)?;
        if self.nodes.is_empty() || self.nodes.len() > MAX_LAYERS {
            return Err(GraphError::LayerCount { found: self.nodes.len() });
        }
        self.check_names()?;
        let mut plan = Plan::default();
        for (index, node) in self.nodes.iter().enumerate() {
            self.check_inputs(index, node)?;
            plan.push(node, problem)?;
        }
        let output = self.check_output(&plan.layers, problem)?;
        let Plan { layers, params, buffers } = plan;
        if params.is_empty() {
            return Err(GraphError::NoParams);
        }
        Ok(Network { problem: problem.clone(), layers, output, params, buffers })
    }

    fn check_names(&self) -> Result<(), GraphError> {
        let mut seen = BTreeSet::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let name = &node.name;
            let printable = name.chars().all(|c| !c.is_control() && !c.is_whitespace());
            if name.is_empty() || name.len() > MAX_NAME || !printable {
                return Err(GraphError::Name { index, name: name.escape_debug().to_string() });
            }
            if !seen.insert(name) {
                return Err(GraphError::DuplicateName { name: name.clone() });
            }
        }
        Ok(())
    }

    fn check_inputs(&self, index: usize, node: &Node) -> Result<(), GraphError> {
        if matches!(node.op, Op::Input) != (index == 0) {
            return Err(GraphError::InputPlace { index, name: node.name.clone() });
        }
        let (found, expected) = (node.inputs.len(), node.op.arity());
        if found != expected {
            let (layer, op) = (node.name.clone(), node.op.name());
            return Err(GraphError::InputCount { layer, op, found, expected });
        }
        for &input in &node.inputs {
            let layer = node.name.clone();
            match self.nodes.get(input) {
                None => return Err(GraphError::UnknownInput { layer, input, count: self.nodes.len() }),
                Some(source) if input >= index => {
                    return Err(GraphError::Cycle { layer, input: source.name.clone() });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn check_output(&self, layers: &[Layer], problem: &Problem) -> Result<usize, GraphError> {
        let output = self.output.ok_or(GraphError::NoOutput)?;
        let count = self.nodes.len();
        let last = layers.get(output).ok_or(GraphError::UnknownOutput { output, count })?;
        if last.shape != [problem.classes] {
            let (layer, found) = (last.name.clone(), last.shape.clone());
            return Err(GraphError::OutputShape { layer, found, classes: problem.classes });
        }
        let mut used = vec![false; count];
        used[output] = true;
        for index in (0..count).rev() {
            if !used[index] {
                return Err(GraphError::Unused { layer: layers[index].name.clone() });
            }
            for &input in &layers[index].inputs {
                used[input] = true;
            }
        }
        Ok(output)
    }
}

fn check_problem(problem: &Problem) -> Result<(), GraphError> {
    let shape = &problem.input;
    let sizes = (1..=4).contains(&shape.len()) && shape.iter().all(|&n| n > 0);
    if !sizes || elements(shape).is_none_or(|n| n > MAX_VALUE) {
        return Err(GraphError::Input { found: shape.clone() });
    }
    if problem.classes < 2 {
        return Err(GraphError::Classes { found: problem.classes });
    }
    Ok(())
}

/// Number of elements of a shape, `None` on overflow.
fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n))
}

/// The network as far as it has been checked.
#[derive(Default)]
struct Plan {
    layers: Vec<Layer>,
    params: Vec<ParamSpec>,
    buffers: Vec<BufferSpec>,
}

impl Plan {
    fn push(&mut self, node: &Node, problem: &Problem) -> Result<(), GraphError> {
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
                let &[in_features] = *x else {
                    return Err(mismatch(x, "a vector (flatten it first)".into()));
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
                let bias = self.param(node, "bias", &[out_features], linear.bias_init, in_features)?;
                layer.shape = vec![out_features];
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
            (op, _) => unreachable!("check_inputs holds {op:?} to its arity"),
        }
        if elements(&layer.shape).is_none_or(|n| n > MAX_VALUE) {
            return Err(too_large(node, "its value for one sample", MAX_VALUE));
        }
        self.layers.push(layer);
        Ok(())
    }

    /// Appends a parameter tensor; `fan_in` resolves [`Init::FanIn`].
    fn param(
        &mut self,
        node: &Node,
        suffix: &str,
        shape: &[usize],
        init: Init,
        fan_in: usize,
    ) -> Result<Range<usize>, GraphError> {
        let start = self.params.last().map_or(0, |last| last.range.end);
        let end = elements(shape).and_then(|n| start.checked_add(n)).filter(|&end| end <= MAX_PARAMS);
        let end = end.ok_or_else(|| too_large(node, "the parameters so far", MAX_PARAMS))?;
        let init = match init {
            Init::FanIn => {
                let bound = 1.0 / (fan_in as f32).sqrt();
                Init::Uniform { low: -bound, high: bound }
            }
            Init::FanOut => {
                let fan_out = shape[0] * shape[2..].iter().product::<usize>();
                Init::Normal { std: (2.0 / fan_out as f32).sqrt() }
            }
            given => given,
        };
        let name = format!("{}.{suffix}", node.name);
        self.params.push(ParamSpec { name, shape: shape.to_vec(), init, range: start..end });
        Ok(start..end)
    }

    /// A bias of `len` values; none at all if `len` is 0.
    fn bias(
        &mut self,
        node: &Node,
        len: usize,
        init: Init,
        fan_in: usize,
    ) -> Result<Range<usize>, GraphError> {
        let end = self.params.last().map_or(0, |last| last.range.end);
        if len == 0 { Ok(end..end) } else { self.param(node, "bias", &[len], init, fan_in) }
    }

    fn buffer(&mut self, node: &Node, suffix: &str, len: usize, init: f32) -> Range<usize> {
        let start = self.buffers.last().map_or(0, |last| last.range.end);
        let range = start..start + len;
        self.buffers.push(BufferSpec { name: format!("{}.{suffix}", node.name), init, range: range.clone() });
        range
    }
}

/// Channels, height and width, or what was expected.
fn image(shape: &[usize]) -> Result<[usize; 3], String> {
    shape.try_into().map_err(|_| "an image, [channels, height, width]".into())
}

/// How a window moves over an image.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl Window {
    /// Number of places, downwards and across.
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

fn too_large(node: &Node, what: &'static str, limit: usize) -> GraphError {
    GraphError::TooLarge { layer: node.name.clone(), what, limit }
}

fn at_least_one(node: &Node, field: &'static str, found: usize) -> Result<usize, GraphError> {
    if found == 0 {
        let (layer, found) = (node.name.clone(), found.to_string());
        return Err(GraphError::Field { layer, field, found, expected: "at least 1" });
    }
    Ok(found)
}

fn check_number(
    node: &Node,
    field: &'static str,
    found: f32,
    range: std::ops::RangeInclusive<f32>,
    expected: &'static str,
) -> Result<(), GraphError> {
    if range.contains(&found) {
        return Ok(());
    }
    Err(GraphError::Field { layer: node.name.clone(), field, found: found.to_string(), expected })
}

fn check_init(node: &Node, field: &'static str, init: Init) -> Result<(), GraphError> {
    let good = match init {
        Init::Constant(value) => value.is_finite(),
        Init::Uniform { low, high } => low.is_finite() && high.is_finite() && low < high,
        Init::Normal { std } => std.is_finite() && std > 0.0,
        Init::FanIn | Init::FanOut => true,
    };
    if good {
        return Ok(());
    }
    let (layer, found) = (node.name.clone(), format!("{init:?}"));
    Err(GraphError::Field { layer, field, found, expected: "finite values, low < high, std > 0" })
}

#[cfg(test)]
mod tests;
