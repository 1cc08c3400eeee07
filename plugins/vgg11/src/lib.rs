//! VGG-11 (Simonyan & Zisserman, 2014, configuration A) for small images, as used by the paper's authors: batch norm
//! after every convolution (with bias), and a head of two hidden layers.

use walk_arch::{
    Activation, Graph, Net, Problem, batch_norm, conv2d, dropout, export_plugin, flatten, linear, max_pool2d,
    options,
};

options! {
    /// Options of VGG-11; the defaults are the paper's.
    pub struct Vgg11Options {
        /// factor by which the number of channels of every convolution is multiplied
        width: f64 = 1.0, in 0.01..=16.0;
        /// width of each hidden layer of the head
        head: Vec<usize> = vec![512, 512], in 1..=65536;
        /// BatchNorm2d after every convolution
        batch_norm: bool = true;
        /// probability of dropout after each hidden layer of the head; 0 for none
        dropout: f64 = 0.0, in 0.0..=0.99;
    }
}

/// Channels of each stage's convolutions; a stage ends with a pooling that halves the image.
const STAGES: [&[usize]; 5] = [&[64], &[128], &[256, 256], &[512, 512], &[512, 512]];

/// The graph, with parameter names `features.N` and `classifier.N` as in torchvision.
///
/// # Errors
/// If the image is smaller than 32x32.
pub fn build(options: &Vgg11Options, problem: &Problem) -> Result<Graph, String> {
    let [_, height, width] = problem.input[..] else {
        return Err(format!("vgg11 needs images, found inputs of shape {:?}", problem.input));
    };
    if height < 32 || width < 32 {
        return Err(format!(
            "vgg11 halves its image five times and needs at least 32x32, not {height}x{width}"
        ));
    }
    let net = Net::new();
    let mut features = net.sequential("features");
    for stage in STAGES {
        for &channels in stage {
            let channels = (channels as f64 * options.width).round().max(1.0) as usize;
            features.push(conv2d(channels, 3).padding(1));
            if options.batch_norm {
                features.push(batch_norm());
            }
            features.push(Activation::Relu);
        }
        features.push(max_pool2d(2));
    }
    let mut classifier = features.output().then("flatten", flatten()).sequential("classifier");
    for &width in &options.head {
        classifier.push(linear(width)).push(Activation::Relu);
        if options.dropout > 0.0 {
            classifier.push(dropout(options.dropout as f32));
        }
    }
    classifier.push(linear(problem.classes));
    Ok(net.finish(classifier.output()))
}

export_plugin! {
    /// VGG-11 with batch norm, for images of at least 32x32
    name: "vgg11", options: Vgg11Options, build: build
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_params(options: &Vgg11Options, input: [usize; 3], classes: usize) -> usize {
        let problem = Problem { input: input.to_vec(), classes };
        build(options, &problem).unwrap().check(&problem).unwrap().n_params()
    }

    #[test]
    fn the_default_is_the_papers_network() {
        assert_eq!(n_params(&Vgg11Options::default(), [3, 32, 32], 10), 9_756_426);
    }

    #[test]
    fn takes_tiny_imagenet_narrow_widths_and_no_batch_norm() {
        // the first layer of the head sees 2x2 images of 512 channels, and the last has 200 outputs
        let tiny = 9_756_426 + 3 * 512 * 512 + 190 * 513;
        assert_eq!(n_params(&Vgg11Options::default(), [3, 64, 64], 200), tiny);
        let plain = Vgg11Options { batch_norm: false, ..Vgg11Options::default() };
        assert_eq!(n_params(&plain, [3, 32, 32], 10), 9_756_426 - 2 * 2752);
        let narrow = Vgg11Options { width: 0.125, head: vec![], ..Vgg11Options::default() };
        assert!(n_params(&narrow, [3, 32, 32], 10) < 160_000);
        assert!(build(&narrow, &Problem { input: vec![3, 28, 28], classes: 10 }).is_err());
    }
}
