//! Which layers one kernel computes together: a batch norm and its ReLU with the convolutions that read them, a
//! residual sum with the convolution before it.

use walk_arch::{Activation, Network, Op};

use crate::executor::{Wire, layer_by_layer};

/// One kernel's work.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Values are numbered as the layers whose they are.
    pub(super) wire: Wire,
    /// The layer that says what to compute.
    pub(super) layer: usize,
    /// For a convolution: the batch norm of its input.
    pub(super) norm: Option<NormBefore>,
    /// For a convolution: whether its second input is added to its output.
    pub(super) residual: bool,
    /// For a batch norm: whether a ReLU follows.
    pub(super) relu: bool,
    /// Whether a batch norm wants the value's moments.
    pub(super) moments: bool,
}

/// A batch norm that is computed as a convolution reads its input.
#[derive(Clone, Copy, Debug)]
pub(super) struct NormBefore {
    /// The batch norm's layer.
    pub(super) layer: usize,
    /// Whether a ReLU follows.
    pub(super) relu: bool,
}

impl Job {
    fn new(wire: Wire) -> Self {
        let layer = wire.value;
        Self { wire, layer, norm: None, residual: false, relu: false, moments: false }
    }
}

/// Every layer on its own.
pub(super) fn apart(network: &Network) -> Vec<Job> {
    layer_by_layer(network).into_iter().map(Job::new).collect()
}

/// As few kernels as there are.
pub(super) fn fused(network: &Network) -> Vec<Job> {
    let layers = network.layers();
    let mut readers: Vec<Vec<usize>> = vec![vec![]; layers.len()];
    for (index, layer) in layers.iter().enumerate() {
        layer.inputs.iter().for_each(|&input| readers[input].push(index));
    }
    let only_reader = |value: usize| match readers[value].as_slice() {
        [reader] if value != network.output() => Some(*reader),
        _ => None,
    };
    let is_conv = |layer: &usize| matches!(layers[*layer].op, Op::Conv2d(_));
    let mut jobs: Vec<Option<Job>> =
        std::iter::once(None).chain(apart(network).into_iter().map(Some)).collect();
    for (index, layer) in layers.iter().enumerate() {
        match layer.op {
            Op::BatchNorm(_) => {
                let relu = only_reader(index);
                let relu = relu.filter(|&next| layers[next].op == Op::Activation(Activation::Relu));
                let after = relu.unwrap_or(index);
                if !readers[after].is_empty() && readers[after].iter().all(is_conv) {
                    for &conv in &readers[after] {
                        let job = jobs[conv].as_mut().expect("a convolution is a job of its own");
                        job.wire.inputs[0] = layer.inputs[0];
                        job.norm = Some(NormBefore { layer: index, relu: relu.is_some() });
                    }
                    jobs[after] = None;
                    jobs[index] = None;
                } else if let Some(relu) = relu {
                    let job = jobs[index].as_mut().expect("a norm is a job of its own");
                    job.wire.value = relu;
                    job.relu = true;
                    jobs[relu] = None;
                }
            }
            Op::Add => {
                let (first, last) =
                    (layer.inputs[0].min(layer.inputs[1]), layer.inputs[0].max(layer.inputs[1]));
                if first < last && is_conv(&last) && only_reader(last).is_some() {
                    let job = jobs[last].as_mut().expect("a convolution is a job of its own");
                    job.wire.value = index;
                    job.wire.inputs.push(first);
                    job.residual = true;
                    jobs[index] = None;
                }
            }
            _ => {}
        }
    }
    let mut jobs: Vec<Job> = jobs.into_iter().flatten().collect();
    for job in &mut jobs {
        let value = job.wire.value;
        job.moments = is_conv(&job.layer)
            && readers[value].iter().any(|&reader| matches!(layers[reader].op, Op::BatchNorm(_)));
    }
    jobs
}

#[cfg(test)]
mod tests {
    use walk_arch::Activation;

    use super::*;
    use crate::test_support::image_network;

    #[test]
    fn norms_and_sums_go_into_the_convolutions_around_them() {
        let network = image_network(Activation::Relu);
        let jobs = fused(&network);
        let name = |index: usize| network.layers()[index].name.as_str();
        let made: Vec<(&str, &str)> =
            jobs.iter().map(|job| (name(job.layer), name(job.wire.value))).collect();
        // bn0 goes into conv1; bn1's ReLU is read by conv2 and the sum, so it stays; bn2's by the sum alone
        let expected = [
            ("conv1", "conv1"),
            ("bn1", "act1"),
            ("conv2", "conv2"),
            ("bn2", "act2"),
            ("sum", "sum"),
            ("pool1", "pool1"),
            ("conv3", "conv3"),
            ("act3", "act3"),
            ("pool2", "pool2"),
            ("gap", "gap"),
            ("fc1", "fc1"),
            ("conv4", "conv4"),
            ("flat", "flat"),
            ("fc2", "fc2"),
            ("both", "both"),
        ];
        assert_eq!(made, expected);
        assert!(jobs[0].norm.is_some_and(|norm| !norm.relu) && jobs[0].moments && jobs[2].moments);
    }
}
