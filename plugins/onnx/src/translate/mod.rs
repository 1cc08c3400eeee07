//! From ONNX's operators to walk-arch's layers.

mod attention;
mod convolution;
mod elementwise;
mod linear;
mod norm;
mod shape;

use std::collections::{BTreeSet, HashMap};

use walk_arch::{Graph, Node, Op, ParamName, Problem};

use crate::attributes::Attributes;
use crate::constant::{Constant, fold};
use crate::file::OnnxFile;
use crate::proto::{Dimension, Node as OnnxNode};
use crate::value::{Data, Parameter, Value};

/// Stands for a batch whose size the file leaves open: a prime that divides no other dimension.
const OPEN_BATCH: usize = 1_000_003;
/// Most problems that are listed.
const MAX_PROBLEMS: usize = 20;
/// Most dimensions of a value.
const MAX_RANK: usize = 8;

/// A file's network.
pub(crate) struct Translation {
    pub(crate) graph: Graph,
    /// Where the parameters' and buffers' initial values come from.
    pub(crate) stored: Vec<Stored>,
}

/// A parameter or buffer of the network and the initializer with its values.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Its name in the network and in the file.
    pub(crate) name: String,
    /// Whether the network has the transposed matrix.
    pub(crate) transposed: bool,
}

/// The network of a file for a problem, or all that cannot be translated.
pub(crate) fn translate(file: &OnnxFile, problem: &Problem) -> Result<Translation, String> {
    let mut translator = Translator::new(file, problem)?;
    let needed = translator.needed()?;
    for (index, node) in file.graph.node.iter().enumerate().filter(|(index, _)| needed.contains(index)) {
        translator.node(index, node);
    }
    translator.finish(problem)
}

/// A file that is being translated.
struct Translator<'a> {
    file: &'a OnnxFile,
    /// The size of the batch, perhaps one that stands for any.
    batch: usize,
    values: HashMap<&'a str, Value>,
    /// The nodes that read a value.
    readers: HashMap<&'a str, Vec<usize>>,
    /// Nodes that others have taken into their layers.
    taken: BTreeSet<usize>,
    nodes: Vec<Node>,
    /// The shape of one sample of each node's value.
    shapes: Vec<Vec<usize>>,
    names: BTreeSet<String>,
    stored: Vec<Stored>,
    /// Initializers that a layer has, and its name.
    owners: HashMap<String, String>,
    problems: Vec<String>,
}

/// A node of the file, while it is translated.
#[derive(Clone, Copy)]
struct At<'a> {
    node: &'a OnnxNode,
    attributes: Attributes<'a>,
}

impl<'a> Translator<'a> {
    fn new(file: &'a OnnxFile, problem: &Problem) -> Result<Self, String> {
        let graph = &file.graph;
        let initializers: BTreeSet<&str> =
            graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        let mut inputs = graph.input.iter().filter(|input| !initializers.contains(input.name.as_str()));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err("a network must have one input".into());
        };
        let dims = input
            .r#type
            .as_ref()
            .and_then(|ty| Some(ty.tensor_type.as_ref()?.shape.as_ref()?.dim.as_slice()));
        let (batch, shape) = match dims {
            Some([batch, shape @ ..]) => (length(batch).unwrap_or(OPEN_BATCH), shape),
            _ => return Err(format!("its input `{}` has no shape", input.name)),
        };
        let known: Option<Vec<usize>> = shape.iter().map(length).collect();
        if known.as_ref().is_some_and(|known| *known != problem.input) {
            let (found, expected) = (known.unwrap_or_default(), &problem.input);
            return Err(format!(
                "its input has the shape {found:?} after the batch, the data have {expected:?}"
            ));
        }
        let full = [&[batch], problem.input.as_slice()].concat();
        let data = Data { node: 0, full, axis: 0, outer: 1, scale: 1.0, shift: 0.0 };
        let mut values = HashMap::from([(input.name.as_str(), Value::Data(data))]);
        for tensor in &graph.initializer {
            values.insert(&tensor.name, initializer(file, tensor)?);
        }
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            node.input.iter().for_each(|name| readers.entry(name).or_default().push(index));
        }
        let node = Node { name: "input".into(), op: Op::Input, inputs: vec![], names: vec![] };
        Ok(Self {
            file,
            batch,
            values,
            readers,
            taken: BTreeSet::new(),
            nodes: vec![node],
            shapes: vec![problem.input.clone()],
            names: BTreeSet::from(["input".to_owned()]),
            stored: vec![],
            owners: HashMap::new(),
            problems: vec![],
        })
    }

    /// The nodes that the output depends on; they must be in order.
    fn needed(&self) -> Result<BTreeSet<usize>, String> {
        let graph = &self.file.graph;
        let output = graph.output.first().ok_or("the graph has no output")?;
        let mut makers: HashMap<&str, usize> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                if makers.insert(name, index).is_some() || self.values.contains_key(name.as_str()) {
                    return Err(format!("two nodes compute `{name}`"));
                }
            }
        }
        let mut needed = BTreeSet::new();
        let mut open = vec![output.name.as_str()];
        while let Some(name) = open.pop() {
            let Some(&index) = makers.get(name) else {
                if name.is_empty() || self.values.contains_key(name) {
                    continue;
                }
                return Err(format!("nothing computes `{name}`"));
            };
            if needed.insert(index) {
                open.extend(graph.node[index].input.iter().map(String::as_str));
            }
        }
        for &index in &needed {
            let late = graph.node[index]
                .input
                .iter()
                .find(|name| makers.get(name.as_str()).is_some_and(|&maker| maker >= index));
            if let Some(name) = late {
                let node = described(&graph.node[index]);
                return Err(format!(
                    "{node} reads `{name}`, which is computed later: the graph is cyclic or out of order"
                ));
            }
        }
        Ok(needed)
    }

    /// Translates a node; what cannot be translated is noted.
    fn node(&mut self, index: usize, node: &'a OnnxNode) {
        if self.taken.contains(&index) {
            return;
        }
        let at = At { node, attributes: Attributes { node, file: self.file } };
        let outputs = if self.inputs(at).iter().flatten().any(|value| matches!(value, Value::Unknown)) {
            // the cause is noted already
            Ok(vec![Value::Unknown])
        } else {
            self.outputs(at)
        };
        let outputs = outputs.unwrap_or_else(|problem| {
            self.problems.push(format!("{}: {problem}", described(node)));
            vec![]
        });
        for (place, name) in node.output.iter().enumerate() {
            // a value that was taken into a layer has been set
            if !self.values.contains_key(name.as_str()) || !outputs.is_empty() {
                self.values.insert(name, outputs.get(place).cloned().unwrap_or(Value::Unknown));
            }
        }
    }

    fn outputs(&mut self, at: At<'a>) -> Result<Vec<Value>, String> {
        let op = at.node.op_type.as_str();
        if !["", "ai.onnx"].contains(&at.node.domain.as_str()) {
            return Err(format!("operators of `{}` are not known", at.node.domain));
        }
        let inputs = self.inputs(at);
        if op == "Constant" {
            return constant(at.attributes).map(|constant| vec![Value::Constant(constant)]);
        }
        if op == "Shape" {
            let shape = inputs
                .first()
                .and_then(Option::as_ref)
                .and_then(shape_of)
                .ok_or("an input without a shape")?;
            let (start, end) = (at.attributes.integer("start", 0), at.attributes.integer("end", i64::MAX));
            let (start, length) = crate::constant::window(start, end, shape.len());
            let dims = shape[start..start + length].iter().map(|&dim| dim as i64);
            return Ok(vec![Value::Constant(Constant::list(dims))]);
        }
        let constants: Vec<Option<&Constant>> = inputs
            .iter()
            .map(|value| match value {
                Some(Value::Constant(constant)) => Some(constant),
                _ => None,
            })
            .collect();
        let is_like = op == "CastLike";
        if (is_like && constants[0].is_some())
            || (!constants.is_empty() && constants.iter().all(Option::is_some))
        {
            return match fold(op, &at.attributes, &constants) {
                Some(folded) => folded.map(|constant| vec![Value::Constant(constant)]),
                None => Err("this operator is not known for constants".into()),
            };
        }
        self.layers(at, inputs)
    }

    /// The layers of an operator whose inputs are not all constants.
    fn layers(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let op = at.node.op_type.as_str();
        match op {
            "Conv" => self.conv(at, inputs),
            "MaxPool" | "AveragePool" => self.pool(at, inputs),
            "GlobalAveragePool" => self.global_pool(inputs),
            "Gemm" => self.gemm(at, inputs),
            "MatMul" => self.matmul(at, inputs),
            "Attention" => self.attention(at, inputs),
            "BatchNormalization" => self.batch_norm(at, inputs),
            "LayerNormalization" => self.layer_norm(at, inputs),
            "GroupNormalization" | "InstanceNormalization" => self.group_norm(at, inputs),
            "Add" | "Sub" | "Mul" | "Div" | "Neg" | "Pow" => self.arithmetic(at, inputs),
            "Relu" | "LeakyRelu" | "Elu" | "Gelu" | "Swish" | "Tanh" | "Sigmoid" | "HardSwish"
            | "HardSigmoid" | "Clip" | "Erf" | "Mish" | "Softplus" => self.activation(at, inputs),
            "Softmax" => self.softmax(at, inputs),
            "Dropout" => self.dropout(at, inputs),
            "Identity" | "Cast" | "CastLike" => {
                Ok(vec![inputs.into_iter().next().flatten().ok_or("no input")?])
            }
            "Concat" => self.concat(at, inputs),
            "Split" => self.split(at, inputs),
            "Slice" => self.slice(at, inputs),
            "Gather" => self.gather(at, inputs),
            "Pad" => self.pad(at, inputs),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Expand" => self.reshape(at, inputs),
            "Transpose" => self.transpose(at, inputs),
            "ReduceMean" => self.reduce_mean(at, inputs),
            _ => Err("this operator is not known".into()),
        }
    }

    /// The values that a node reads; `None` for one that is left out.
    fn inputs(&self, at: At<'a>) -> Vec<Option<Value>> {
        let value = |name: &String| self.values.get(name.as_str()).cloned();
        at.node.input.iter().map(value).collect()
    }

    /// Appends a layer whose value has the shape `shape` for one sample.
    fn push(&mut self, name: &str, op: impl Into<Op>, inputs: Vec<usize>, shape: Vec<usize>) -> usize {
        let clean: String =
            name.chars().map(|c| if c.is_control() || c.is_whitespace() { '_' } else { c }).collect();
        let clean = if clean.is_empty() { "layer".to_owned() } else { clean.chars().take(100).collect() };
        let mut unique = clean.clone();
        let mut number = 1;
        while !self.names.insert(unique.clone()) {
            number += 1;
            unique = format!("{clean}~{number}");
        }
        self.nodes.push(Node { name: unique, op: op.into(), inputs, names: vec![] });
        self.shapes.push(shape);
        self.nodes.len() - 1
    }

    /// Appends a layer with parameters; each is `weight`, `bias`, `running_mean` or `running_var` of it.
    fn push_trained(
        &mut self,
        op: impl Into<Op>,
        inputs: Vec<usize>,
        shape: Vec<usize>,
        parameters: &[(&str, &Parameter)],
    ) -> Result<usize, String> {
        let first = parameters.first().map_or("layer", |(_, parameter)| parameter.name.as_str());
        let prefix = first.strip_suffix(".weight").unwrap_or(first).to_owned();
        let node = self.push(&prefix, op, inputs, shape);
        let name = self.nodes[node].name.clone();
        for (of, parameter) in parameters {
            let stored = self.stored_dims(&parameter.name);
            if let Some(owner) = self.owners.insert(parameter.name.clone(), name.clone()) {
                return Err(format!(
                    "its parameter `{}` belongs to `{owner}` too; shared parameters are not possible",
                    parameter.name
                ));
            }
            self.stored.push(Stored { name: parameter.name.clone(), transposed: parameter.transposed });
            let shape = if parameter.transposed { None } else { stored };
            self.nodes[node].names.push(ParamName {
                of: (*of).to_owned(),
                name: parameter.name.clone(),
                shape,
            });
        }
        Ok(node)
    }

    /// The shape of an initializer in the file.
    fn stored_dims(&self, name: &str) -> Option<Vec<usize>> {
        let tensor = self.file.graph.initializer.iter().find(|tensor| tensor.name == name)?;
        Some(tensor.dims.iter().map(|&dim| dim as usize).collect())
    }

    /// The layer of a value, with its constants applied and `shape` as the shape of one sample.
    fn layer(&mut self, data: &Data, shape: &[usize]) -> usize {
        let mut node = data.node;
        if !data.is_plain() {
            let own = self.shapes[node].clone();
            let name = format!("{}.affine", self.nodes[node].name);
            node = self.push(&name, walk_arch::affine(data.scale as f32, data.shift as f32), vec![node], own);
        }
        if self.shapes[node] == shape {
            return node;
        }
        let op = if shape.len() == 1 { walk_arch::flatten() } else { walk_arch::reshape(shape) };
        let name = format!("{}.reshape", self.nodes[node].name);
        self.push(&name, op, vec![node], shape.to_vec())
    }

    /// The layer of a value in the shape that it has already, with its constants applied.
    fn plain(&mut self, data: &Data) -> usize {
        let shape = self.shapes[data.node].clone();
        self.layer(data, &shape)
    }

    /// A value that no layer computes yet: `data`'s shape and batch, computed by `node`.
    fn same(data: &Data, node: usize) -> Vec<Value> {
        vec![Value::Data(Data { node, scale: 1.0, shift: 0.0, ..data.clone() })]
    }

    /// A parameter as the value of a layer, the same for every sample: zeros, to which it is added.
    fn parameter_value(&mut self, parameter: &Parameter, full: Vec<usize>) -> Result<Data, String> {
        if parameter.transposed {
            return Err(format!("the transposed parameter `{}` is used as a value", parameter.name));
        }
        let len: usize = parameter.dims.iter().product();
        let input: usize = self.shapes[0].iter().product();
        let flat =
            self.push(&format!("{}.input", parameter.name), walk_arch::flatten(), vec![0], vec![input]);
        let outside = walk_arch::crop(&[input as i64], &[len]);
        let zeros = self.push(&format!("{}.zeros", parameter.name), outside, vec![flat], vec![len]);
        let bias = walk_arch::Bias { init: walk_arch::Init::Normal { std: 0.02 }, axes: None };
        let node = self.push_trained(bias, vec![zeros], vec![len], &[("bias", parameter)])?;
        let axis = full.iter().position(|&dim| dim == self.batch).ok_or("a parameter without the batch")?;
        let outer: usize = full[..axis].iter().product();
        if outer != 1 {
            return Err("a parameter with the batch behind other dimensions".into());
        }
        Ok(Data { node, full, axis, outer: 1, scale: 1.0, shift: 0.0 })
    }

    /// The only node that reads a value, if there is one and the value is not the output.
    fn only_reader(&self, name: &str) -> Option<usize> {
        let is_output = self.file.graph.output.iter().any(|output| output.name == name);
        match self.readers.get(name).map(Vec::as_slice) {
            Some(&[reader]) if !is_output => Some(reader),
            _ => None,
        }
    }

    /// The graph, without the layers that nothing reads.
    fn finish(mut self, problem: &Problem) -> Result<Translation, String> {
        let output = &self.file.graph.output[0].name;
        let result = match self.values.get(output.as_str()).cloned() {
            Some(Value::Data(data)) => Some(data),
            _ => None,
        };
        if !self.problems.is_empty() {
            let more = self.problems.len().saturating_sub(MAX_PROBLEMS);
            let mut lines: Vec<String> = self.problems.into_iter().take(MAX_PROBLEMS).collect();
            if more > 0 {
                lines.push(format!("and {more} more"));
            }
            return Err(format!("it cannot be translated:\n  {}", lines.join("\n  ")));
        }
        let data = result.ok_or("its output does not depend on its input")?;
        let classes = data.sample(self.batch).shape;
        if classes != [problem.classes] {
            let expected = problem.classes;
            return Err(format!(
                "its output has the shape {classes:?}, expected [{expected}], one value per class"
            ));
        }
        let output = self.layer(&data, &classes);
        let mut used = vec![false; self.nodes.len()];
        used[output] = true;
        used[0] = true;
        for index in (0..self.nodes.len()).rev().filter(|&index| used[index]).collect::<Vec<_>>() {
            mark(&self.nodes, index, &mut used);
        }
        let mut places = vec![0; used.len()];
        let mut nodes = vec![];
        for (index, mut node) in self.nodes.into_iter().enumerate().filter(|(index, _)| used[*index]) {
            node.inputs.iter_mut().for_each(|input| *input = places[*input]);
            places[index] = nodes.len();
            nodes.push(node);
        }
        let names: BTreeSet<&str> =
            nodes.iter().flat_map(|node: &Node| &node.names).map(|given| given.name.as_str()).collect();
        let stored = self.stored.into_iter().filter(|stored| names.contains(stored.name.as_str())).collect();
        Ok(Translation { graph: Graph { nodes, output: Some(places[output]) }, stored })
    }
}

/// Marks what a node depends on.
fn mark(nodes: &[Node], index: usize, used: &mut [bool]) {
    let mut open = vec![index];
    while let Some(index) = open.pop() {
        for &input in &nodes[index].inputs {
            if !used[input] {
                used[input] = true;
                open.push(input);
            }
        }
    }
}

/// A dimension's length, if the file gives it.
fn length(dim: &Dimension) -> Option<usize> {
    usize::try_from(dim.dim_value).ok().filter(|&length| length > 0 && dim.dim_param.is_empty())
}

/// What an initializer stands for: a parameter, if it may be one.
fn initializer(file: &OnnxFile, tensor: &crate::proto::Tensor) -> Result<Value, String> {
    let dims: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
    let count: usize = dims.iter().product();
    let is_float = [1, 10, 11, 16].contains(&tensor.data_type);
    let is_constant = match &file.buffers {
        Some(buffers) => buffers.contains(&tensor.name),
        None => count == 1,
    };
    // running statistics are buffers that batch norm takes by their names
    let is_statistic = tensor.name.contains("running_");
    if is_float && (!is_constant || is_statistic) {
        return Ok(Value::Parameter(Parameter { name: tensor.name.clone(), dims, transposed: false }));
    }
    if count > 1 << 20 {
        return Ok(Value::Unknown);
    }
    Ok(Value::Constant(Constant::new(dims, file.numbers(tensor)?)))
}

/// The constant of a Constant node.
fn constant(attributes: Attributes<'_>) -> Result<Constant, String> {
    if let Some(constant) = attributes.constant("value") {
        return Ok(constant);
    }
    if let Some(value) = attributes.find("value_int") {
        return Ok(Constant::scalar(value.i as f64, true));
    }
    if let Some(value) = attributes.find("value_float") {
        return Ok(Constant::scalar(value.f.into(), false));
    }
    if let Some(values) = attributes.integers("value_ints") {
        return Ok(Constant::list(values.iter().copied()));
    }
    if let Some(value) = attributes.find("value_floats") {
        let values: Vec<f64> = value.floats.iter().map(|&x| x.into()).collect();
        return Ok(Constant { dims: vec![values.len()], values, integer: false });
    }
    Err("its value is of a kind that is not read".into())
}

/// The shape of a value in ONNX.
fn shape_of(value: &Value) -> Option<Vec<usize>> {
    match value {
        Value::Constant(constant) => Some(constant.dims.clone()),
        Value::Parameter(parameter) => Some(parameter.dims.clone()),
        Value::Data(data) => Some(data.full.clone()),
        Value::Erf(term) => Some(term.x.full.clone()),
        Value::Unknown => None,
    }
}

/// A node in messages: its name, or what it computes, and its operator.
fn described(node: &OnnxNode) -> String {
    let name = if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name };
    format!(
        "node `{}` ({})",
        name.chars().take(100).collect::<String>().escape_debug(),
        node.op_type.escape_debug()
    )
}

/// The value of a layer among a node's inputs.
fn data(inputs: &[Option<Value>], place: usize) -> Result<Data, String> {
    match inputs.get(place).and_then(Option::as_ref) {
        Some(Value::Data(data)) if data.full.len() <= MAX_RANK => Ok(data.clone()),
        Some(Value::Erf(_)) => Err("erf is known as a part of GELU alone".into()),
        Some(Value::Data(_)) => Err(format!("a value with more than {MAX_RANK} dimensions")),
        _ => Err(format!("its input {place} does not depend on the network's input")),
    }
}

/// A parameter among a node's inputs.
fn parameter(inputs: &[Option<Value>], place: usize, what: &str) -> Result<Parameter, String> {
    match inputs.get(place).and_then(Option::as_ref) {
        Some(Value::Parameter(parameter)) => Ok(parameter.clone()),
        _ => Err(format!("its {what} is no initializer")),
    }
}

/// A constant among a node's inputs.
fn constant_input(inputs: &[Option<Value>], place: usize) -> Option<&Constant> {
    match inputs.get(place).and_then(Option::as_ref) {
        Some(Value::Constant(constant)) => Some(constant),
        _ => None,
    }
}
