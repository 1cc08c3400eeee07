//! What the crate's tests share.

use std::ops::Range;

use rand::Rng;
use walk_arch::{
    Activation, Conv2d, Graph, Net, Network, Problem, avg_pool2d, batch_norm, conv2d, flatten,
    global_avg_pool, linear, max_pool2d,
};

use crate::{Batch, Samples, Seed, Stream};

/// Rows of random inputs with labels in turn.
pub(crate) struct Noise(pub(crate) Batch);

impl Noise {
    pub(crate) fn new(network: &Network, rows: usize) -> Self {
        let problem = network.problem();
        let features: usize = problem.input.iter().product();
        let mut rng = Seed(99).rng(Stream::Order, 0, 0);
        let inputs = (0..rows * features).map(|_| rng.gen_range(-1.0..1.0)).collect();
        Self(Batch { inputs, labels: (0..rows).map(|row| row * 7 % problem.classes).collect() })
    }
}

impl Samples for Noise {
    fn len(&self) -> usize {
        self.0.labels.len()
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        let features = self.0.inputs.len() / self.0.labels.len();
        inputs.copy_from_slice(&self.0.inputs[range.start * features..range.end * features]);
        labels.copy_from_slice(&self.0.labels[range]);
    }
}

/// A network with every kind of layer: norms, the activation, a residual sum, values read twice.
pub(crate) fn residual_network(activation: Activation) -> Network {
    let problem = Problem { input: vec![1, 4, 5], classes: 3 };
    let net = Net::new();
    let stem = net.input().then("flat", flatten()).then("stem", linear(17));
    let branch = stem.then("bn1", batch_norm()).then("act1", activation).then("fc1", linear(17));
    let sum = branch.add("sum", stem).then("same", flatten());
    let sum = sum.add("twice", sum).then("act2", activation).then("bn2", batch_norm());
    let graph: Graph = net.finish(sum.then("act3", activation).then("head", linear(3)));
    graph.check(&problem).unwrap()
}

/// A network of images with every kind of image layer: strides, groups, dilation, pools, a residual sum of images.
pub(crate) fn image_network(activation: Activation) -> Network {
    let problem = Problem { input: vec![3, 12, 10], classes: 4 };
    let net = Net::new();
    let x = net
        .input()
        .then("bn0", batch_norm())
        .then("conv1", conv2d(8, 3).padding(1))
        .then("bn1", batch_norm());
    let x = x.then("act1", activation);
    let y = x
        .then("conv2", conv2d(8, 3).padding(1).bias(false))
        .then("bn2", batch_norm())
        .then("act2", activation);
    let x = y.add("sum", x).then("pool1", max_pool2d(2));
    let wide = Conv2d { dilation: [1, 2], ..conv2d(6, 3).padding(2).groups(2) };
    let x = x.then("conv3", wide).then("act3", activation).then("pool2", avg_pool2d(2));
    let left = x.then("gap", global_avg_pool()).then("fc1", linear(4));
    let right = x.then("conv4", conv2d(5, 1).stride(2)).then("flat", flatten()).then("fc2", linear(4));
    net.finish(left.add("both", right)).check(&problem).unwrap()
}

/// ‖found - expected‖ / ‖expected‖.
pub(crate) fn norm_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f64| x * x;
    let difference: f64 =
        found.iter().zip(expected).map(|(f, e)| square(f64::from(*f) - f64::from(*e))).sum();
    let size: f64 = expected.iter().map(|e| square(f64::from(*e))).sum();
    (difference / size).sqrt()
}
