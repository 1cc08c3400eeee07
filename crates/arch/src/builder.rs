//! Builds a [`Graph`], layer by layer.

use std::cell::RefCell;

use crate::{Concat, Graph, Matmul, Node, Op};

/// A network under construction. Building does not fail; [`Graph::check`] reports every mistake later, by layer name.
///
/// ```
/// use walk_arch::{Activation, Net, linear};
/// let net = Net::new();
/// let x = net.input();
/// let hidden = x.then("fc1", linear(8)).then("act", Activation::Tanh);
/// let sum = hidden.then("fc2", linear(8)).add("residual", hidden);
/// let graph = net.finish(sum.then("head", linear(3)));
/// assert_eq!(graph.nodes.len(), 6);
/// ```
#[derive(Debug)]
pub struct Net {
    nodes: RefCell<Vec<Node>>,
}

/// The value of one layer of a [`Net`].
#[derive(Clone, Copy, Debug)]
pub struct Var<'net> {
    net: &'net Net,
    index: usize,
}

/// A chain of layers named as `torch.nn.Sequential` names them: `prefix.0`, `prefix.1`, ...
#[derive(Debug)]
pub struct Sequential<'net> {
    at: Var<'net>,
    prefix: String,
    next: usize,
}

impl Net {
    /// A network that has only its input.
    pub fn new() -> Self {
        let input = Node { name: "input".into(), op: Op::Input, inputs: vec![] };
        Self { nodes: RefCell::new(vec![input]) }
    }

    /// The input.
    pub fn input(&self) -> Var<'_> {
        Var { net: self, index: 0 }
    }

    /// A chain that starts at the input. With an empty prefix the layers are called `0`, `1`, ...
    pub fn sequential(&self, prefix: &str) -> Sequential<'_> {
        self.input().sequential(prefix)
    }

    /// The graph with `output` as its output.
    pub fn finish(&self, output: Var<'_>) -> Graph {
        Graph { nodes: self.nodes.borrow().clone(), output: Some(output.index) }
    }

    fn push(&self, name: String, op: Op, inputs: Vec<usize>) -> Var<'_> {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { name, op, inputs });
        Var { net: self, index: nodes.len() - 1 }
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl<'net> Var<'net> {
    /// A layer on top of this value.
    pub fn then(self, name: impl Into<String>, op: impl Into<Op>) -> Self {
        self.net.push(name.into(), op.into(), vec![self.index])
    }

    /// The sum of this value and another.
    pub fn add(self, name: impl Into<String>, other: Self) -> Self {
        self.net.push(name.into(), Op::Add, vec![self.index, other.index])
    }

    /// The product of this value and another, element by element.
    pub fn mul(self, name: impl Into<String>, other: Self) -> Self {
        self.net.push(name.into(), Op::Mul, vec![self.index, other.index])
    }

    /// This value followed by another along dimension `axis`.
    pub fn concat(self, name: impl Into<String>, other: Self, axis: usize) -> Self {
        self.net.push(name.into(), Op::Concat(Concat { axis }), vec![self.index, other.index])
    }

    /// The matrix product of this value and another.
    pub fn matmul(self, name: impl Into<String>, other: Self, options: Matmul) -> Self {
        self.net.push(name.into(), options.into(), vec![self.index, other.index])
    }

    /// A chain of layers on top of this value.
    pub fn sequential(self, prefix: &str) -> Sequential<'net> {
        Sequential { at: self, prefix: prefix.into(), next: 0 }
    }
}

impl<'net> Sequential<'net> {
    /// Appends a layer.
    pub fn push(&mut self, op: impl Into<Op>) -> &mut Self {
        let separator = if self.prefix.is_empty() { "" } else { "." };
        self.at = self.at.then(format!("{}{separator}{}", self.prefix, self.next), op);
        self.next += 1;
        self
    }

    /// The value of the last layer.
    pub fn output(&self) -> Var<'net> {
        self.at
    }
}
