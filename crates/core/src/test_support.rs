//! What the crate's tests share.

use std::ops::Range;

use rand::Rng;
use walk_arch::{
    Activation, Conv2d, Graph, LayerNorm, Net, Network, Problem, avg_pool2d, batch_norm, bias, conv2d,
    dropout, flatten, global_avg_pool, group_norm, layer_norm, linear, matmul, max_pool2d, pad_channels,
    permute, reshape, softmax, subsample,
};

use crate::{Batch, Samples, Seed, Stream};

/// Whether the slow tests run.
pub(crate) fn is_slow() -> bool {
    std::env::var_os("SLOW_TESTS").is_some()
}

/// The rows of a batch as samples.
pub(crate) struct BatchSamples(pub(crate) Batch);

impl BatchSamples {
    /// Random inputs with labels in turn.
    pub(crate) fn random(network: &Network, rows: usize) -> Self {
        let problem = network.problem();
        let features: usize = problem.input.iter().product();
        let mut rng = Seed(99).rng(Stream::Order, []);
        let inputs = (0..rows * features).map(|_| rng.gen_range(-1.0..1.0)).collect();
        let labels = (0..rows).map(|row| row * 7 % problem.classes).collect();
        Self(Batch { inputs, labels, dropout: None })
    }

    /// Some of them.
    pub(crate) fn pick(&self, rows: &[usize]) -> Batch {
        let features = self.0.inputs.len() / self.0.labels.len();
        let inputs = rows.iter().flat_map(|row| &self.0.inputs[row * features..][..features]);
        let labels = rows.iter().map(|&row| self.0.labels[row]).collect();
        Batch { inputs: inputs.copied().collect(), labels, dropout: None }
    }
}

impl Samples for BatchSamples {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn fill(&self, range: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        self.0.fill(range, inputs, labels);
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

/// A network whose poolings come after batch norms.
pub(crate) fn pooled_network() -> Network {
    let problem = Problem { input: vec![3, 12, 10], classes: 4 };
    let net = Net::new();
    let x = net.input().then("conv1", conv2d(8, 3).padding(1)).then("bn1", batch_norm());
    let x = x.then("act1", Activation::Relu).then("pool1", max_pool2d(2));
    let x = x.then("conv2", conv2d(16, 3).padding(1)).then("bn2", batch_norm()).then("pool2", max_pool2d(2));
    let x = x.then("conv3", conv2d(20, 3).padding(1)).then("bn3", batch_norm());
    let x = x.then("act3", Activation::Relu).then("pool3", max_pool2d(2));
    net.finish(x.then("flat", flatten()).then("fc", linear(4))).check(&problem).unwrap()
}

/// A pre-activation residual network: norms, ReLUs and sums that go into the convolutions around them.
pub(crate) fn preactivation_network(activation: Activation) -> Network {
    let problem = Problem { input: vec![3, 6, 6], classes: 4 };
    let net = Net::new();
    let mut x = net.input().then("stem", conv2d(8, 3).padding(1).bias(false));
    for (name, stride) in [("a", 1), ("b", 2)] {
        let named = |layer: &str| format!("{name}.{layer}");
        let pre = x.then(named("bn1"), batch_norm()).then(named("act1"), activation);
        let y = pre.then(named("conv1"), conv2d(8, 3).stride(stride).padding(1));
        let y = y.then(named("bn2"), batch_norm()).then(named("act2"), activation);
        let y = y.then(named("conv2"), conv2d(8, 3).padding(1));
        x = if stride == 1 {
            y.add(named("sum"), x)
        } else {
            y.add(named("sum"), pre.then(named("short"), conv2d(8, 1).stride(stride)))
        };
    }
    let x = x.then("bn", batch_norm()).then("act", activation).then("pool", global_avg_pool());
    net.finish(x.then("fc", linear(4))).check(&problem).unwrap()
}

/// A small transformer with every layer on values of any shape.
pub(crate) fn tensor_network(activation: Activation) -> Network {
    let problem = Problem { input: vec![3, 4, 6], classes: 3 };
    let net = Net::new();
    let image =
        net.input().then("pad", pad_channels(1, 2)).then("gn", group_norm(2)).then("act0", activation);
    let image = image.then("patch", Conv2d { stride: [2, 2], ..conv2d(8, 2) }); // [8, 2, 3]
    let sub = image.then("sub", subsample(2)).then("subflat", flatten()).then("subfc", linear(7)); // [7]
    let x = image.then("grid", reshape(&[8, 6])).then("tokens", permute(&[1, 0])).then("pos", bias(0.1)); // [6, 8]
    let h = x.then("ln1", layer_norm()).then("drop1", dropout(0.25));
    let heads = |name: &str| {
        let split = h.then(name, linear(8)).then(format!("{name}.split"), reshape(&[6, 2, 4]));
        split.then(format!("{name}.heads"), permute(&[1, 0, 2])) // [2, 6, 4]
    };
    let (q, k, v) = (heads("q"), heads("k"), heads("v"));
    let p = q.matmul("scores", k, matmul().transposed().scale(0.5)).then("softmax", softmax());
    let y = p.matmul("mix", v, matmul()).then("back", permute(&[1, 0, 2])).then("join", reshape(&[6, 8]));
    let x = y.then("proj", linear(8)).then("drop2", dropout(0.25)).add("res1", x);
    let h = x.then("ln2", layer_norm()).then("fc1", linear(10)).then("act1", activation);
    let gate = x.then("gatefc", linear(10));
    let x = h.mul("gate", gate).then("fc2", linear(8)).add("res2", x);
    let square = x.mul("square", x).concat("both", x, 1); // [6, 16]
    let x = square
        .then("ln3", LayerNorm { dims: 2, ..layer_norm() })
        .then("flat", flatten())
        .concat("with", sub, 0);
    net.finish(x.then("head", linear(3))).check(&problem).unwrap()
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
