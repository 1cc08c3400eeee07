//! Wide residual networks (Zagoruyko & Komodakis, 2016) for small images: three groups of n pre-activation blocks with
//! 16k, 32k and 64k channels. The paper gives neither depth nor width; the default is WRN-16-4.

use walk_arch::{
    Activation, Graph, Net, Problem, Var, batch_norm, conv2d, dropout, export_plugin, global_avg_pool,
    linear, options,
};

options! {
    /// Options of the wide residual network.
    pub struct WideResNetOptions {
        /// number of layers, 6n + 4
        depth: usize = 16, in 10..=1204;
        /// widening factor k
        widen: usize = 4, in 1..=64;
        /// probability of dropout between the two convolutions of a block; 0 for none
        dropout: f64 = 0.0, in 0.0..=0.99;
    }
}

/// The graph, with the parameter names of PyTorch implementations: `block1.layer.0.conv1`, `fc`.
///
/// # Errors
/// If the depth is not 6n + 4.
pub fn build(options: &WideResNetOptions, problem: &Problem) -> Result<Graph, String> {
    if !(options.depth - 4).is_multiple_of(6) {
        return Err(format!("`depth` = {}, expected 6n + 4: 10, 16, 22, 28, ...", options.depth));
    }
    let blocks = (options.depth - 4) / 6;
    let net = Net::new();
    let mut x = net.input().then("conv1", conv2d(16, 3).padding(1).bias(false));
    let mut channels = 16;
    for group in 0..3 {
        let wide = (16 * options.widen) << group;
        for block in 0..blocks {
            let stride = if group > 0 && block == 0 { 2 } else { 1 };
            x = wide_block(
                x,
                &format!("block{}.layer.{block}", group + 1),
                [channels, wide, stride],
                options.dropout,
            );
            channels = wide;
        }
    }
    let x = x.then("bn1", batch_norm()).then("relu", Activation::Relu).then("pool", global_avg_pool());
    Ok(net.finish(x.then("fc", linear(problem.classes))))
}

/// conv2(relu(bn2(conv1(a)))) + shortcut, with a = relu(bn1(x)); the shortcut is x, or a 1x1 convolution of a where
/// the number of channels changes.
fn wide_block<'n>(x: Var<'n>, name: &str, [from, to, stride]: [usize; 3], p: f64) -> Var<'n> {
    let a = x.then(format!("{name}.bn1"), batch_norm()).then(format!("{name}.relu1"), Activation::Relu);
    let y = a.then(format!("{name}.conv1"), conv2d(to, 3).stride(stride).padding(1).bias(false));
    let mut y = y.then(format!("{name}.bn2"), batch_norm()).then(format!("{name}.relu2"), Activation::Relu);
    if p > 0.0 {
        y = y.then(format!("{name}.dropout"), dropout(p as f32));
    }
    let y = y.then(format!("{name}.conv2"), conv2d(to, 3).padding(1).bias(false));
    let shortcut = if from == to && stride == 1 {
        x
    } else {
        a.then(format!("{name}.convShortcut"), conv2d(to, 1).stride(stride).bias(false))
    };
    y.add(format!("{name}.add"), shortcut)
}

export_plugin! {
    /// wide residual network WRN-depth-k for small images
    name: "wresnet", options: WideResNetOptions, build: build
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_params(depth: usize, widen: usize, classes: usize) -> Result<usize, String> {
        let problem = Problem { input: vec![3, 32, 32], classes };
        let graph = build(&WideResNetOptions { depth, widen, ..WideResNetOptions::default() }, &problem)?;
        Ok(graph.check(&problem).map_err(|error| error.to_string())?.n_params())
    }

    #[test]
    fn has_the_published_sizes() {
        // Zagoruyko & Komodakis, Table 4: WRN-16-4 2.75M, WRN-28-10 36.5M parameters
        assert_eq!(n_params(16, 4, 10).unwrap(), 2_748_890);
        assert_eq!(n_params(28, 10, 10).unwrap(), 36_479_194);
        assert_eq!(n_params(16, 4, 100).unwrap(), 2_748_890 + 90 * 257);
        assert!(n_params(17, 4, 10).unwrap_err().contains("6n + 4"));
    }
}
