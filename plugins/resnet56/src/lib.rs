//! ResNet-56 (He et al., 2016) for small images with pre-activation blocks, as used by the paper's authors: three stages
//! of n blocks, a 1x1 convolution on the shortcut only where the stride is 2, a final batch norm and ReLU.

use walk_arch::{
    Activation, Graph, Net, Problem, Var, batch_norm, conv2d, dropout, export_plugin, global_avg_pool,
    linear, options,
};

options! {
    /// Options of the residual network; the defaults are the paper's.
    pub struct ResNetOptions {
        /// number of layers, 6n + 2
        depth: usize = 56, in 8..=1202;
        /// channels of the first stage; the second and third have two and four times as many
        width: usize = 16, in 1..=4096;
        /// batch norm before every ReLU
        batch_norm: bool = true;
        /// probability of dropout between the two convolutions of a block; 0 for none
        dropout: f64 = 0.0, in 0.0..=0.99;
    }
}

/// The graph, with the parameter names of `nn.Sequential` over blocks of bn1, bn2, conv1, conv2, shortcut.
///
/// # Errors
/// If the depth is not 6n + 2.
pub fn build(options: &ResNetOptions, problem: &Problem) -> Result<Graph, String> {
    if !(options.depth - 2).is_multiple_of(6) {
        return Err(format!("`depth` = {}, expected 6n + 2: 8, 14, 20, ..., 56", options.depth));
    }
    let blocks = (options.depth - 2) / 6;
    let net = Net::new();
    let mut x = net.input().then("0", conv2d(options.width, 3).padding(1).bias(false));
    let mut index = 1;
    for stage in 0..3 {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = residual_block(x, &index.to_string(), options.width << stage, stride, options);
            index += 1;
        }
    }
    let name = |offset: usize| (index + offset).to_string();
    if options.batch_norm {
        x = x.then(name(0), batch_norm());
    }
    let pooled = x.then(name(1), Activation::Relu).then(name(2), global_avg_pool());
    // name(3) is PyTorch's Flatten
    Ok(net.finish(pooled.then(name(4), linear(problem.classes))))
}

/// conv2(relu(bn2(conv1(relu(bn1(x)))))) + shortcut(x)
fn residual_block<'n>(
    x: Var<'n>,
    name: &str,
    channels: usize,
    stride: usize,
    options: &ResNetOptions,
) -> Var<'n> {
    let activate = |x: Var<'n>, which: u8| {
        let x = if options.batch_norm { x.then(format!("{name}.bn{which}"), batch_norm()) } else { x };
        x.then(format!("{name}.relu{which}"), Activation::Relu)
    };
    let y = activate(x, 1)
        .then(format!("{name}.conv1"), conv2d(channels, 3).stride(stride).padding(1).bias(false));
    let mut y = activate(y, 2);
    if options.dropout > 0.0 {
        y = y.then(format!("{name}.dropout"), dropout(options.dropout as f32));
    }
    let y = y.then(format!("{name}.conv2"), conv2d(channels, 3).padding(1).bias(false));
    let shortcut = if stride > 1 {
        x.then(format!("{name}.shortcut"), conv2d(channels, 1).stride(stride).bias(false))
    } else {
        x
    };
    y.add(format!("{name}.add"), shortcut)
}

export_plugin! {
    /// ResNet-56 and its variants for small images, pre-activation
    name: "resnet56", options: ResNetOptions, build: build
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_params(options: &ResNetOptions, input: [usize; 3], classes: usize) -> usize {
        let problem = Problem { input: input.to_vec(), classes };
        build(options, &problem).unwrap().check(&problem).unwrap().n_params()
    }

    #[test]
    fn the_default_is_the_papers_network() {
        assert_eq!(n_params(&ResNetOptions::default(), [3, 32, 32], 10), 855_578);
    }

    #[test]
    fn takes_other_depths_and_shapes_and_refuses_what_is_not_6n_plus_2() {
        let options = |depth| ResNetOptions { depth, ..ResNetOptions::default() };
        assert!(n_params(&options(8), [1, 28, 28], 10) < 80_000);
        assert_eq!(n_params(&options(56), [3, 64, 64], 200), 855_578 + 190 * 65);
        let problem = Problem { input: vec![3, 32, 32], classes: 10 };
        assert!(build(&options(57), &problem).unwrap_err().contains("6n + 2"));
        let plain = ResNetOptions { batch_norm: false, ..options(14) };
        assert!(build(&plain, &problem).unwrap().check(&problem).is_ok());
    }
}
