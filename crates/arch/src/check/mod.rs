//! Checks a graph from an untrusted plugin and infers every shape.

mod layers;
mod tensor_layers;

use std::collections::BTreeSet;

use self::layers::Plan;
use crate::{Graph, Layer, Network, Node, Op, Problem};

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

#[cfg(test)]
mod tests;
