//! Checks a graph from an untrusted plugin and infers every shape.

mod error;
mod layers;
mod partial_network;
mod tensor_layers;

use std::collections::BTreeSet;

pub use self::error::GraphError;
use self::error::{MAX_LAYERS, MAX_NAME, MAX_VALUE};
use self::partial_network::{PartialNetwork, elements};
use crate::graph::FOREIGN;
use crate::{Graph, Layer, Network, Node, Op, Problem};

impl Graph {
    /// Checks everything and lays out the parameters in one flat vector, layer by layer, weight before bias.
    ///
    /// # Errors
    /// A [`GraphError`] for the first error, with the layer's name and the shapes.
    pub fn check(&self, problem: &Problem) -> Result<Network, GraphError> {
        check_problem(problem)?;
        if self.nodes.is_empty() || self.nodes.len() > MAX_LAYERS {
            return Err(GraphError::LayerCount { found: self.nodes.len() });
        }
        self.check_names()?;
        let mut network = PartialNetwork::default();
        for (index, node) in self.nodes.iter().enumerate() {
            self.check_inputs(index, node)?;
            network.add_layer(node, problem)?;
        }
        let output = self.check_output(&network.layers, problem)?;
        let PartialNetwork { layers, params, buffers } = network;
        let names = params.iter().map(|param| &param.name).chain(buffers.iter().map(|buffer| &buffer.name));
        let mut seen = BTreeSet::new();
        if let Some(name) = names.into_iter().find(|&name| !seen.insert(name)) {
            return Err(GraphError::DuplicateParam { name: name.clone() });
        }
        if params.is_empty() {
            return Err(GraphError::NoParams);
        }
        Ok(Network { problem: problem.clone(), layers, output, params, buffers })
    }

    fn check_names(&self) -> Result<(), GraphError> {
        let mut seen = BTreeSet::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let given = node.names.iter().map(|given| &given.name);
            for name in given.chain([&node.name]) {
                let printable = name.chars().all(|c| !c.is_control() && !c.is_whitespace());
                if name.is_empty() || name.len() > MAX_NAME || !printable {
                    return Err(GraphError::Name { index, name: name.escape_debug().to_string() });
                }
            }
            if !seen.insert(&node.name) {
                return Err(GraphError::DuplicateName { name: node.name.clone() });
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
                None if input == FOREIGN => return Err(GraphError::Foreign { layer }),
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
        if output == FOREIGN {
            return Err(GraphError::ForeignOutput);
        }
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

#[cfg(test)]
mod tests;
