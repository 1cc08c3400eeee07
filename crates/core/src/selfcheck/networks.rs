//! A small network for every layer.

use std::sync::Arc;

use walk_arch::{
    Activation, Bias, Conv2d, GroupNorm, Init, LayerNorm, Net, Network, Problem, Scale, Var, affine,
    avg_pool2d, batch_norm, bias, conv2d, crop, dropout, flatten, global_avg_pool, group_norm, layer_norm,
    linear, matmul, max_pool2d, pad_channels, permute, reshape, softmax, subsample,
};

/// Every layer between a convolution or linear layer before it, so that gradients have something to pass through, and a linear
/// layer after it.
///
/// # Panics
/// If one of them does not pass the check, which would be a bug.
pub fn layer_networks() -> Vec<(String, Arc<Network>)> {
    let mut networks = vec![];
    let mut add = |name: &str, input: &[usize], layers: &dyn for<'net> Fn(Var<'net>) -> Var<'net>| {
        let net = Net::new();
        let y = layers(net.input()).then("flat", flatten()).then("head", linear(3));
        let graph = net.finish(y);
        let problem = Problem { input: input.to_vec(), classes: 3 };
        let network = graph.check(&problem).expect("the networks of the self-check are sound");
        networks.push((name.to_owned(), Arc::new(network)));
    };
    let vector: &[usize] = &[10];
    add("linear", vector, &|x| x.then("y", linear(17)));
    for activation in Activation::ALL {
        add(activation.name(), vector, &|x| x.then("x", linear(17)).then("y", activation));
    }
    add("linear without bias", vector, &|x| x.then("x", linear(9)).then("y", linear(17).bias(false)));
    add("affine", vector, &|x| x.then("x", linear(17)).then("y", affine(-1.5, 0.5)));
    add("batch_norm of vectors", vector, &|x| x.then("x", linear(17)).then("y", batch_norm()));
    add("dropout", vector, &|x| x.then("x", linear(17)).then("y", dropout(0.25)));
    add("add", vector, &|x| x.then("a", linear(17)).add("y", x.then("b", linear(17))));
    add("mul", vector, &|x| x.then("a", linear(17)).mul("y", x.then("b", linear(17))));
    add("concat", vector, &|x| x.then("a", linear(17)).concat("y", x.then("b", linear(5)), 0));
    add("softmax", vector, &|x| x.then("x", linear(17)).then("y", softmax()));
    add("layer_norm", vector, &|x| x.then("x", linear(17)).then("y", layer_norm()));

    let image: &[usize] = &[3, 8, 8];
    add("conv2d, by its definition", image, &|x| x.then("y", conv2d(8, 3).padding(1)));
    add("conv2d, stride 2", image, &|x| channels(x).then("y", conv2d(8, 3).padding(1).stride(2)));
    add("conv2d, 1x1", image, &|x| channels(x).then("y", conv2d(8, 1)));
    add("conv2d, groups and dilation", image, &|x| {
        channels(x).then("y", Conv2d { dilation: [1, 2], ..conv2d(8, 3).padding(2).groups(2) })
    });
    add("conv2d, Winograd F(4x4)", image, &|x| channels(x).then("y", conv2d(16, 3).padding(1)));
    add("conv2d, Winograd F(2x2)", &[3, 2, 2], &|x| channels(x).then("y", conv2d(16, 3).padding(1)));
    add("batch_norm of images", image, &|x| channels(x).then("y", batch_norm()));
    add("batch_norm between convolutions", image, &|x| {
        let x = channels(x);
        let y = x.then("bn", batch_norm()).then("relu", Activation::Relu).then("y", conv2d(16, 3).padding(1));
        y.add("sum", x)
    });
    add("max_pool2d", image, &|x| channels(x).then("y", max_pool2d(2)));
    add("avg_pool2d", image, &|x| channels(x).then("y", avg_pool2d(2)));
    add("global_avg_pool", image, &|x| channels(x).then("y", global_avg_pool()));
    add("group_norm", image, &|x| channels(x).then("y", group_norm(4)));
    add("pad_channels", image, &|x| channels(x).then("y", pad_channels(1, 2)));
    add("subsample", image, &|x| channels(x).then("y", subsample(2)));

    add("reshape and permute", image, &|x| tokens(x));
    add("bias", image, &|x| tokens(x).then("y", bias(0.1)));
    add("bias per channel", image, &|x| channels(x).then("y", Bias { axes: Some([0, 1]), ..bias(0.1) }));
    add("scale", image, &|x| tokens(x).then("y", Scale { init: Init::Constant(0.5), axes: Some([1, 2]) }));
    add("crop", image, &|x| channels(x).then("y", crop(&[2, -1, 1], &[9, 10, 6])));
    add("group_norm without scale and shift", image, &|x| {
        channels(x).then("y", GroupNorm { affine: false, ..group_norm(4) })
    });
    add("layer_norm without scale and shift", image, &|x| {
        tokens(x).then("y", LayerNorm { affine: false, ..layer_norm() })
    });
    add("linear of tokens", image, &|x| tokens(x).then("y", linear(5)));
    add("layer_norm of two dimensions", image, &|x| {
        tokens(x).then("y", LayerNorm { dims: 2, ..layer_norm() })
    });
    add("matmul", image, &|x| {
        let x = tokens(x);
        let (a, b) = (x.then("a", linear(6)), x.then("b", linear(6)));
        a.matmul("scores", b, matmul().transposed().scale(0.5)).matmul("y", a, matmul())
    });
    networks
}

/// 16 channels of images.
fn channels(x: Var<'_>) -> Var<'_> {
    x.then("channels", conv2d(16, 3).padding(1))
}

/// 64 tokens of 16 elements, of images of 8 x 8.
fn tokens(x: Var<'_>) -> Var<'_> {
    channels(x).then("grid", reshape(&[16, 64])).then("tokens", permute(&[1, 0]))
}
