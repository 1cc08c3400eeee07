//! A file that is being translated, and what its operators need of it.

use std::collections::{BTreeSet, HashMap};

use walk_arch::{Graph, Node, Op, ParamName, Problem};

use crate::attributes::Attributes;
use crate::constant::{Constant, MAX};
use crate::file::OnnxFile;
use crate::proto::{Dimension, Node as OnnxNode, Tensor};
use crate::value::{Data, Parameter, Value};

/// Stands for a batch whose size the file leaves open: a prime that divides no other dimension.
const OPEN_BATCH: usize = 1_000_003;
/// Most problems that are listed.
const MAX_PROBLEMS: usize = 20;
/// Most elements of a value, with the batch.
const MAX_ELEMENTS: usize = 1 << 50;
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

/// A file that is being translated.
pub(super) struct Translator<'a> {
    pub(super) file: &'a OnnxFile,
    /// The size of the batch, perhaps one that stands for any.
    pub(super) batch: usize,
    pub(super) values: HashMap<&'a str, Value>,
    /// The nodes that read a value.
    pub(super) readers: HashMap<&'a str, Vec<usize>>,
    /// Nodes that others have taken into their layers.
    pub(super) taken: BTreeSet<usize>,
    pub(super) nodes: Vec<Node>,
    /// The shape of one sample of each node's value.
    pub(super) shapes: Vec<Vec<usize>>,
    pub(super) names: BTreeSet<String>,
    pub(super) stored: Vec<Stored>,
    /// Initializers that a layer has, and its name.
    pub(super) owners: HashMap<String, String>,
    pub(super) problems: Vec<String>,
}

/// A node of the file, while it is translated.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) node: &'a OnnxNode,
    pub(super) attributes: Attributes<'a>,
}

impl<'a> Translator<'a> {
    pub(super) fn new(file: &'a OnnxFile, problem: &Problem) -> Result<Self, String> {
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
            Some([batch, shape @ ..]) => {
                (length(batch).filter(|&batch| batch <= OPEN_BATCH).unwrap_or(OPEN_BATCH), shape)
            }
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
    pub(super) fn needed(&self) -> Result<BTreeSet<usize>, String> {
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

    /// The values that a node reads; `None` for one that is left out.
    pub(super) fn inputs(&self, at: At<'a>) -> Vec<Option<Value>> {
        let value = |name: &String| self.values.get(name.as_str()).cloned();
        at.node.input.iter().map(value).collect()
    }

    /// Appends a layer whose value has the shape `shape` for one sample.
    pub(super) fn push(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: Vec<usize>,
        shape: Vec<usize>,
    ) -> usize {
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
    pub(super) fn push_trained(
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
            let stored = self.file.initializer(&parameter.name);
            let stored = stored.map(|tensor| tensor.dims.iter().map(|&dim| dim as usize).collect());
            if let Some(owner) = self.owners.insert(parameter.name.clone(), name.clone()) {
                return Err(format!(
                    "its parameter `{}` belongs to `{owner}` too; shared parameters are not possible. \
                     PyTorch's exporter merges parameters with equal values unless it is told not to: use scripts/export_onnx.py",
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

    /// The layer of a value, with its constants applied and `shape` as the shape of one sample.
    pub(super) fn layer(&mut self, data: &Data, shape: &[usize]) -> usize {
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
    pub(super) fn plain(&mut self, data: &Data) -> usize {
        let shape = self.shapes[data.node].clone();
        self.layer(data, &shape)
    }

    /// A value that no layer computes yet: `data`'s shape and batch, computed by `node`.
    pub(super) fn same(data: &Data, node: usize) -> Vec<Value> {
        vec![Value::Data(Data { node, scale: 1.0, shift: 0.0, ..data.clone() })]
    }

    /// A parameter as the value of a layer, the same for every sample: zeros, to which it is added.
    pub(super) fn parameter_value(
        &mut self,
        parameter: &Parameter,
        full: Vec<usize>,
    ) -> Result<Data, String> {
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
    pub(super) fn only_reader(&self, name: &str) -> Option<usize> {
        let is_output = self.file.graph.output.iter().any(|output| output.name == name);
        match self.readers.get(name).map(Vec::as_slice) {
            Some(&[reader]) if !is_output => Some(reader),
            _ => None,
        }
    }

    /// The graph, without the layers that nothing reads.
    pub(super) fn finish(mut self, problem: &Problem) -> Result<Translation, String> {
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
        // a node comes after those that it reads
        for index in (0..self.nodes.len()).rev() {
            if used[index] {
                self.nodes[index].inputs.iter().for_each(|&input| used[input] = true);
            }
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

/// A dimension's length, if the file gives it.
fn length(dim: &Dimension) -> Option<usize> {
    usize::try_from(dim.dim_value).ok().filter(|&length| length > 0 && dim.dim_param.is_empty())
}

/// What an initializer stands for: a parameter, if it may be one.
fn initializer(file: &OnnxFile, tensor: &Tensor) -> Result<Value, String> {
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
    if count > MAX {
        return Ok(Value::Unknown);
    }
    Ok(Value::Constant(Constant::new(dims, file.numbers(tensor)?)))
}

/// The shape of a value in ONNX.
pub(super) fn shape_of(value: &Value) -> Option<Vec<usize>> {
    match value {
        Value::Constant(constant) => Some(constant.dims.clone()),
        Value::Parameter(parameter) => Some(parameter.dims.clone()),
        Value::Data(data) => Some(data.full.clone()),
        Value::Erf(term) => Some(term.x.full.clone()),
        Value::Sequence(_) | Value::Unknown => None,
    }
}

/// A node in messages: its name, or what it computes, and its operator.
pub(super) fn described(node: &OnnxNode) -> String {
    let name = if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name };
    format!(
        "node `{}` ({})",
        name.chars().take(100).collect::<String>().escape_debug(),
        node.op_type.escape_debug()
    )
}

/// Whether a shape is one that products of its dimensions can be computed of.
fn is_usable(full: &[usize]) -> bool {
    let elements = full.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    full.len() <= MAX_RANK && elements.is_some_and(|elements| (1..=MAX_ELEMENTS).contains(&elements))
}

/// The value of a layer among a node's inputs.
pub(super) fn data(inputs: &[Option<Value>], place: usize) -> Result<Data, String> {
    match inputs.get(place).and_then(Option::as_ref) {
        Some(Value::Data(data)) if is_usable(&data.full) => Ok(data.clone()),
        Some(Value::Erf(_)) => Err("erf is known as a part of GELU alone".into()),
        Some(Value::Data(data)) => Err(format!(
            "a value of shape {:?}, which is not usable",
            &data.full[..data.full.len().min(MAX_RANK + 1)]
        )),
        _ => Err(format!("its input {place} does not depend on the network's input")),
    }
}

/// A parameter among a node's inputs.
pub(super) fn parameter(inputs: &[Option<Value>], place: usize, what: &str) -> Result<Parameter, String> {
    match inputs.get(place).and_then(Option::as_ref) {
        Some(Value::Parameter(parameter)) => Ok(parameter.clone()),
        _ => Err(format!("its {what} is no initializer")),
    }
}

/// A constant among a node's inputs.
pub(super) fn constant_input(inputs: &[Option<Value>], place: usize) -> Option<&Constant> {
    match inputs.get(place).and_then(Option::as_ref) {
        Some(Value::Constant(constant)) => Some(constant),
        _ => None,
    }
}
