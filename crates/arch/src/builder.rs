//! Builds a [`Graph`], layer by layer.

use std::cell::RefCell;

use crate::graph::FOREIGN;
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

/// A chain of layers, named as in `torch.nn.Sequential`: `prefix.0`, `prefix.1`, ...
#[derive(Debug)]
pub struct Sequential<'net> {
    at: Var<'net>,
    prefix: String,
    next: usize,
}

impl Net {
    /// A network with only an input.
    pub fn new() -> Self {
        let input = Node { name: "input".into(), op: Op::Input, inputs: vec![], names: vec![] };
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
        Graph { nodes: self.nodes.borrow().clone(), output: Some(self.index_of(output)) }
    }

    /// The index of a value of this network.
    fn index_of(&self, value: Var<'_>) -> usize {
        // a value borrows its network, which therefore does not move
        if std::ptr::eq(self, value.net) { value.index } else { FOREIGN }
    }

    fn push(&self, name: String, op: Op, inputs: Vec<usize>) -> Var<'_> {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { name, op, inputs, names: vec![] });
        Var { net: self, index: nodes.len() - 1 }
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl<'net> Var<'net> {
    /// Applies a layer to this value.
    pub fn then(self, name: impl Into<String>, op: impl Into<Op>) -> Self {
        self.net.push(name.into(), op.into(), vec![self.index])
    }

    /// The sum of this value and another.
    pub fn add(self, name: impl Into<String>, other: Self) -> Self {
        self.join(name, Op::Add, other)
    }

    /// The product of this value and another, element by element.
    pub fn mul(self, name: impl Into<String>, other: Self) -> Self {
        self.join(name, Op::Mul, other)
    }

    /// The concatenation of this value and another along dimension `axis`.
    pub fn concat(self, name: impl Into<String>, other: Self, axis: usize) -> Self {
        self.join(name, Op::Concat(Concat { axis }), other)
    }

    /// The matrix product of this value and another.
    pub fn matmul(self, name: impl Into<String>, other: Self, options: Matmul) -> Self {
        self.join(name, options, other)
    }

    fn join(self, name: impl Into<String>, op: impl Into<Op>, other: Self) -> Self {
        self.net.push(name.into(), op.into(), vec![self.index, self.net.index_of(other)])
    }

    /// A chain of layers applied to this value.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphError, Problem, linear};

    #[test]
    fn a_value_of_another_network_is_refused() {
        let problem = Problem { input: vec![4], classes: 2 };
        let (net, other) = (Net::new(), Net::new());
        let stranger = other.input().then("fc", linear(2));
        let own = net.input().then("fc", linear(2));
        let joined = [
            own.add("sum", stranger),
            own.mul("product", stranger),
            own.concat("both", stranger, 0),
            own.matmul("matrix", stranger, Matmul { transposed: false, scale: 1.0 }),
        ];
        for (index, value) in joined.into_iter().enumerate() {
            let layer = ["sum", "product", "both", "matrix"][index].to_owned();
            let mut graph = net.finish(value);
            // the first mistake counts: keep only the layer looked at
            graph.nodes = [&graph.nodes[..2], &graph.nodes[2 + index..=2 + index]].concat();
            assert_eq!(graph.check(&problem), Err(GraphError::Foreign { layer }));
        }
        assert_eq!(Net::new().finish(stranger).check(&problem), Err(GraphError::ForeignOutput));
    }
}
