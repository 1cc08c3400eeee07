//! The graph as received from a plugin: unchecked data.

use serde::{Deserialize, Serialize};

use crate::Op;

/// Replaces a node's index if the value belongs to another [`Net`](crate::Net).
pub(crate) const FOREIGN: usize = usize::MAX;

/// The problem a network is built for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Shape of one input sample: `[features]` or `[channels, height, width]`.
    pub input: Vec<usize>,
    /// Number of classes: the length of the network's output.
    pub classes: usize,
}

/// A directed acyclic graph of layers, in an order in which every layer follows its inputs.
///
/// It comes from an untrusted plugin: nothing about it is guaranteed until [`Graph::check`] has passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// The layers; the first is the input.
    pub nodes: Vec<Node>,
    /// Index of the node whose value is the network's output; `None` if the plugin set none.
    pub output: Option<usize>,
}

/// One layer of a [`Graph`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique name, used as the prefix of its parameters' names (`features.0` gives `features.0.weight`).
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Indices of the nodes it reads.
    pub inputs: Vec<usize>,
    /// Names of its parameters and buffers that do not follow from its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<ParamName>,
}

/// The name, and perhaps the shape, of a parameter or buffer where another program's differ from ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamName {
    /// What it is in the layer: `weight`, `bias`, `running_mean` or `running_var`.
    pub of: String,
    /// Its whole name, in place of the node's with this ending.
    pub name: String,
    /// Its shape in files, of as many elements as the layer's: `[1, 16, 8]` for `[16, 8]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
}
