use proptest::prelude::*;

use crate::{
    Activation, Concat, Conv2d, Graph, GraphError, Init, LayerNorm, Linear, Net, Node, Op, Pool2d, Problem,
    batch_norm, bias, conv2d, dropout, flatten, global_avg_pool, group_norm, layer_norm, linear, matmul,
    max_pool2d, pad_channels, permute, reshape, softmax, subsample,
};

const MAX_OUT: usize = (1 << 28) - 1;

fn problem() -> Problem {
    Problem { input: vec![1, 4, 4], classes: 3 }
}

fn node(name: &str, op: impl Into<Op>, inputs: &[usize]) -> Node {
    Node { name: name.into(), op: op.into(), inputs: inputs.to_vec(), names: vec![] }
}

/// A graph of `nodes` behind the input and a flatten, whose output is the last one.
fn graph(nodes: Vec<Node>) -> Graph {
    let mut all = vec![node("input", Op::Input, &[]), node("flat", flatten(), &[0])];
    all.extend(nodes);
    Graph { output: Some(all.len() - 1), nodes: all }
}

fn error(nodes: Vec<Node>) -> GraphError {
    graph(nodes).check(&problem()).unwrap_err()
}

#[test]
fn lays_out_parameters_and_buffers_in_order() {
    let net = Net::new();
    let mut layers = net.sequential("net");
    layers.push(flatten()).push(linear(5)).push(batch_norm()).push(Activation::Relu).push(linear(3));
    let network = net.finish(layers.output()).check(&problem()).unwrap();
    let names: Vec<_> = network.params().iter().map(|p| (p.name.as_str(), p.range.clone())).collect();
    assert_eq!(
        names,
        [
            ("net.1.weight", 0..80),
            ("net.1.bias", 80..85),
            ("net.2.weight", 85..90),
            ("net.2.bias", 90..95),
            ("net.4.weight", 95..110),
            ("net.4.bias", 110..113),
        ]
    );
    assert_eq!(network.params()[0].init, Init::Uniform { low: -0.25, high: 0.25 });
    assert_eq!(network.initial_buffers(), [[0.0; 5], [1.0; 5]].concat());
    assert_eq!(network.multiply_adds(), 95);
}

#[test]
fn names_the_layer_and_the_shapes_of_a_mismatch() {
    let nodes = vec![node("a", linear(3), &[1]), node("b", linear(4), &[1]), node("sum", Op::Add, &[2, 3])];
    assert_eq!(
        error(nodes).to_string(),
        "layer `sum` (add) got an input of shape [4], expected [3], the shape of its first input"
    );
    let unflattened = error(vec![node("fc", linear(3), &[0])]);
    assert_eq!(
        unflattened.to_string(),
        "layer `fc` (linear) got an input of shape [1, 4, 4], expected a vector or [rows, features] (flatten it first)"
    );
}

#[test]
fn finds_unknown_and_cyclic_inputs() {
    assert!(matches!(error(vec![node("fc", linear(3), &[9])]), GraphError::UnknownInput { input: 9, .. }));
    let cyclic = vec![node("a", Op::Add, &[1, 3]), node("b", linear(3), &[2])];
    assert_eq!(
        error(cyclic).to_string(),
        "layer `a` reads `b`, which does not come before it: the graph is cyclic or out of order"
    );
    assert!(matches!(error(vec![node("self", linear(3), &[2])]), GraphError::Cycle { .. }));
}

#[test]
fn finds_duplicate_names_and_unused_layers_and_bad_outputs() {
    let twice = vec![node("fc", linear(3), &[1]), node("fc", linear(3), &[2])];
    assert_eq!(error(twice), GraphError::DuplicateName { name: "fc".into() });
    let unused = vec![node("left", linear(3), &[1]), node("right", linear(3), &[1])];
    assert_eq!(error(unused), GraphError::Unused { layer: "left".into() });
    let mut no_output = graph(vec![node("fc", linear(3), &[1])]);
    no_output.output = None;
    assert_eq!(no_output.check(&problem()), Err(GraphError::NoOutput));
    no_output.output = Some(7);
    assert!(matches!(no_output.check(&problem()), Err(GraphError::UnknownOutput { .. })));
    assert!(matches!(error(vec![node("fc", linear(4), &[1])]), GraphError::OutputShape { .. }));
}

#[test]
fn finds_absurd_sizes_without_overflow() {
    let huge = vec![node("fc", linear(usize::MAX), &[1]), node("head", linear(3), &[2])];
    assert!(matches!(error(huge), GraphError::TooLarge { .. }));
    let wide = vec![node("fc", linear(MAX_OUT), &[1]), node("head", linear(3), &[2])];
    assert!(matches!(error(wide), GraphError::TooLarge { .. }));
    assert!(matches!(
        error(vec![node("fc", linear(0), &[1])]),
        GraphError::Field { field: "out_features", .. }
    ));
    let input = Problem { input: vec![usize::MAX, 2], classes: 3 };
    assert!(matches!(graph(vec![]).check(&input), Err(GraphError::Input { .. })));
}

#[test]
fn finds_numbers_that_are_not_finite() {
    let layer = Linear { weight_init: Init::Normal { std: f32::NAN }, ..linear(3) };
    assert!(matches!(error(vec![node("fc", layer, &[1])]), GraphError::Field { field: "weight_init", .. }));
    let mut norm = batch_norm();
    norm.eps = f32::NAN;
    let nodes = vec![node("bn", norm, &[1]), node("fc", linear(3), &[2])];
    assert!(matches!(error(nodes), GraphError::Field { field: "eps", .. }));
}

#[test]
fn convolutions_and_pools_have_pytorchs_shapes() {
    let problem = Problem { input: vec![3, 9, 11], classes: 4 };
    let net = Net::new();
    let mut layers = net.sequential("");
    let wide = Conv2d { dilation: [1, 2], stride: [2, 1], ..conv2d(8, 3).padding(1) };
    layers.push(wide).push(conv2d(4, 1).groups(2).bias(false)).push(max_pool2d(2)).push(global_avg_pool());
    let network = net.finish(layers.output()).check(&problem).unwrap();
    let shapes: Vec<_> = network.layers().iter().map(|layer| layer.shape.clone()).collect();
    assert_eq!(shapes[1..], [vec![8, 5, 9], vec![4, 5, 9], vec![4, 2, 4], vec![4]]);
    let params: Vec<_> = network.params().iter().map(|p| (p.name.as_str(), p.shape.clone())).collect();
    assert_eq!(params, [("0.weight", vec![8, 3, 3, 3]), ("0.bias", vec![8]), ("1.weight", vec![4, 4, 1, 1])]);
    assert_eq!(network.params()[0].init, Init::Normal { std: (2.0f32 / 72.0).sqrt() });
    assert_eq!(network.multiply_adds(), 216 * 45 + 16 * 45);
    let refused = |op: Op| {
        let nodes = vec![node("input", Op::Input, &[]), node("layer", op, &[0])];
        Graph { nodes, output: Some(1) }.check(&problem).unwrap_err().to_string()
    };
    assert_eq!(
        refused(conv2d(4, 12).into()),
        "layer `layer` (conv2d) got an input of shape [9, 11], expected at least 12 with padding along axis 0"
    );
    assert!(refused(conv2d(4, 3).groups(2).into()).contains("divisible by groups (2)"));
    assert!(refused(conv2d(4, 3).stride(0).into()).contains("`stride` = 0"));
    assert!(refused(conv2d(4, 3).padding(usize::MAX).into()).contains("too large"));
    let pool = Pool2d { kernel: [2; 2], stride: [2; 2], padding: [2; 2] };
    assert!(refused(Op::MaxPool2d(pool)).contains("at most half a window"));
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        Just(Op::Input),
        Just(Op::Flatten),
        Just(Op::Add),
        Just(Op::Activation(Activation::Relu)),
        any::<usize>().prop_map(|n| linear(n).into()),
        (1usize..20).prop_map(|n| linear(n).into()),
        (any::<usize>(), 0usize..5, 0usize..5).prop_map(|(n, k, p)| conv2d(n % 5, k).padding(p).into()),
        (0usize..3).prop_map(max_pool2d),
        Just(global_avg_pool()),
        Just(batch_norm().into()),
    ]
}

proptest! {
    #[test]
    fn any_graph_is_either_refused_or_consistent(
        nodes in prop::collection::vec((any_op(), prop::collection::vec(0usize..8, 0..3)), 0..8),
        output in prop::option::of(0usize..9),
    ) {
        let nodes = nodes.into_iter().enumerate()
            .map(|(i, (op, inputs))| Node { name: format!("n{i}"), op, inputs, names: vec![] }).collect();
        let graph = Graph { nodes, output };
        if let Ok(network) = graph.check(&problem()) {
            prop_assert_eq!(network.layers()[network.output()].shape.as_slice(), [3]);
            let mut end = 0;
            for param in network.params() {
                prop_assert_eq!(param.range.start, end);
                prop_assert_eq!(param.range.len(), param.shape.iter().product::<usize>());
                end = param.range.end;
            }
        }
        // what a plugin sends is what the host reads
        let bytes = serde_json::to_vec(&graph).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Graph>(&bytes).unwrap(), graph);
    }
}

#[test]
fn tensor_layers_have_the_shapes_and_parameters_of_pytorch() {
    let problem = Problem { input: vec![4, 3, 2], classes: 6 };
    let net = Net::new();
    let x = net.input().then("pad", pad_channels(1, 3)).then("sub", subsample(2)); // [8, 2, 1]
    let x = x.then("gn", group_norm(4)).then("tokens", reshape(&[2, 8])).then("pos", bias(0.02));
    let x = x.then("ln", layer_norm()).then("fc", linear(3)); // [2, 3]
    let scores = x.matmul("scores", x, matmul().transposed().scale(0.5)).then("p", softmax()); // [2, 2]
    let y = scores.matmul("mix", x, matmul()).then("drop", dropout(0.1)).then("t", permute(&[1, 0])); // [3, 2]
    let y = y.mul("gate", y).concat("both", y, 1); // [3, 4]
    let y = y.then("flat", flatten()).then("head", linear(6));
    let network = net.finish(y).check(&problem).unwrap();
    let shape = |name: &str| network.layers().iter().find(|layer| layer.name == name).unwrap().shape.clone();
    let shapes: Vec<Vec<usize>> = ["pad", "sub", "fc", "scores", "mix", "t", "both"].map(shape).to_vec();
    assert_eq!(
        shapes,
        [vec![8, 3, 2], vec![8, 2, 1], vec![2, 3], vec![2, 2], vec![2, 3], vec![3, 2], vec![3, 4]]
    );
    let params: Vec<_> = network.params().iter().map(|p| (p.name.as_str(), p.shape.clone())).collect();
    assert_eq!(
        params[..5],
        [
            ("gn.weight", vec![8]),
            ("gn.bias", vec![8]),
            ("pos.bias", vec![2, 8]),
            ("ln.weight", vec![8]),
            ("ln.bias", vec![8])
        ]
    );
    assert_eq!(network.multiply_adds(), 2 * 24 + 2 * 2 * 3 + 2 * 3 * 2 + 12 * 6);
}

#[test]
fn tensor_layers_refuse_what_does_not_fit() {
    let refused = |op: Op, inputs: &[usize]| error(vec![node("x", op, inputs), node("fc", linear(3), &[2])]);
    for (op, inputs) in [
        (Op::Mul, vec![0, 1]),
        (Op::Concat(Concat { axis: 3 }), vec![0, 0]),
        (Op::Concat(Concat { axis: 0 }), vec![0, 1]),
        (reshape(&[5, 3]), vec![0]),
        (reshape(&[]), vec![0]),
        (permute(&[0, 0, 1]), vec![0]),
        (permute(&[0]), vec![0]),
        (matmul().into(), vec![1, 1]),
        (LayerNorm { dims: 4, ..layer_norm() }.into(), vec![0]),
        (LayerNorm { dims: 0, ..layer_norm() }.into(), vec![0]),
        (group_norm(2).into(), vec![0]),
        (pad_channels(1, 1), vec![1]),
        (subsample(2), vec![1]),
    ] {
        let shown = format!("{op:?}");
        assert!(matches!(refused(op, &inputs), GraphError::Shape { .. }), "{shown}");
    }
    for op in [
        dropout(1.0),
        dropout(f32::NAN),
        subsample(0),
        matmul().scale(f32::INFINITY).into(),
        group_norm(0).into(),
    ] {
        let inputs = if op.arity() == 2 { vec![0, 0] } else { vec![0] };
        let shown = format!("{op:?}");
        assert!(matches!(refused(op, &inputs), GraphError::Field { .. }), "{shown}");
    }
    assert!(matches!(refused(pad_channels(usize::MAX, 1), &[0]), GraphError::TooLarge { .. }));
}
