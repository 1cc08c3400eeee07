//! Which layers are fused into one kernel: a batch norm and its ReLU with the convolutions that read them, a
//! residual sum with the convolution before it.

use walk_arch::{Activation, Layer, Network, Op};

use crate::executor::{Wire, layer_by_layer};

/// The layers that one kernel computes together.
#[derive(Clone, Debug)]
pub(super) struct FusionGroup {
    /// The values it reads and writes; each has the number of its layer.
    pub(super) wire: Wire,
    /// The layer whose operation the kernel is for.
    pub(super) layer: usize,
    /// For a convolution, the batch norm of its input.
    pub(super) norm: Option<FusedNorm>,
    /// For a convolution, whether its second input is added to its output.
    pub(super) residual: bool,
    /// For a batch norm, whether a ReLU follows.
    pub(super) relu: bool,
    /// Whether a batch norm reads the value and requires its moments.
    pub(super) moments: bool,
    /// For a convolution, the pooling of its output before the batch norm of it, which is in the convolutions that read it.
    pub(super) pool: Option<PoolBeforeNorm>,
}

/// A max pooling that is applied before the batch norm (and ReLU) that it would follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolBeforeNorm {
    /// The pooling's layer.
    pub(super) layer: usize,
    /// The batch norm's.
    pub(super) norm: usize,
}

/// A batch norm and the ReLU fused with it, if any.
#[derive(Clone, Copy, Debug)]
pub(super) struct FusedNorm {
    /// The batch norm's layer.
    pub(super) layer: usize,
    /// Whether a ReLU follows.
    pub(super) relu: bool,
}

impl FusionGroup {
    fn new(wire: Wire) -> Self {
        let layer = wire.value;
        Self { wire, layer, norm: None, residual: false, relu: false, moments: false, pool: None }
    }
}

/// One group per layer.
pub(super) fn unfused(network: &Network) -> Vec<FusionGroup> {
    layer_by_layer(network).into_iter().map(FusionGroup::new).collect()
}

/// The kernels of an evaluation: as [`fused`], and where convolutions read what is pooled after a batch norm, the convolution
/// before pools, so that its whole output is never written, and those after it normalize.
pub(super) fn for_evaluation(network: &Network) -> Vec<FusionGroup> {
    let layers = network.layers();
    let readers = Readers::new(network);
    let mut groups = fused(network);
    for (pool, layer) in layers.iter().enumerate() {
        let place =
            |groups: &[FusionGroup], value: usize| groups.iter().position(|group| group.wire.value == value);
        let (Op::MaxPool2d(_), &[normalized]) = (&layer.op, layer.inputs.as_slice()) else { continue };
        let Some(norm) = place(&groups, normalized).map(|at| groups[at].clone()) else { continue };
        let is_norm = matches!(layers[norm.layer].op, Op::BatchNorm(_));
        let Some(conv) = place(&groups, norm.wire.inputs[0]).filter(|_| is_norm) else { continue };
        let fits = is_conv(&layers[groups[conv].layer])
            && !groups[conv].residual
            && readers.only(groups[conv].wire.value) == Some(norm.layer)
            && readers.only(normalized) == Some(pool)
            && pool != network.output()
            && readers.of(pool).iter().all(|&reader| is_conv(&layers[reader]));
        if !fits {
            continue;
        }
        groups[conv].wire.value = pool;
        groups[conv].pool = Some(PoolBeforeNorm { layer: pool, norm: norm.layer });
        for group in groups.iter_mut().filter(|group| readers.of(pool).contains(&group.layer)) {
            group.norm = Some(FusedNorm { layer: norm.layer, relu: norm.relu });
        }
        groups.retain(|group| ![pool, norm.layer].contains(&group.layer));
    }
    groups
}

/// Which layers read which value.
struct Readers {
    by_value: Vec<Vec<usize>>,
    output: usize,
}

impl Readers {
    fn new(network: &Network) -> Self {
        let layers = network.layers();
        let mut by_value: Vec<Vec<usize>> = vec![vec![]; layers.len()];
        for (index, layer) in layers.iter().enumerate() {
            layer.inputs.iter().for_each(|&input| by_value[input].push(index));
        }
        Self { by_value, output: network.output() }
    }

    fn of(&self, value: usize) -> &[usize] {
        &self.by_value[value]
    }

    /// The layer that reads a value, if it is the only reader.
    fn only(&self, value: usize) -> Option<usize> {
        match self.of(value) {
            &[reader] if value != self.output => Some(reader),
            _ => None,
        }
    }
}

fn is_conv(layer: &Layer) -> bool {
    matches!(layer.op, Op::Conv2d(_))
}

/// As few kernels as possible.
pub(super) fn fused(network: &Network) -> Vec<FusionGroup> {
    let layers = network.layers();
    let readers = Readers::new(network);
    let mut groups: Vec<Option<FusionGroup>> =
        std::iter::once(None).chain(unfused(network).into_iter().map(Some)).collect();
    for (index, layer) in layers.iter().enumerate() {
        match layer.op {
            Op::BatchNorm(_) => {
                let relu = readers.only(index);
                let relu = relu.filter(|&next| layers[next].op == Op::Activation(Activation::Relu));
                let after = relu.unwrap_or(index);
                if !readers.of(after).is_empty()
                    && readers.of(after).iter().all(|&reader| is_conv(&layers[reader]))
                {
                    for &conv in readers.of(after) {
                        let group = groups[conv].as_mut().expect("a convolution starts as a group");
                        group.wire.inputs[0] = layer.inputs[0];
                        group.norm = Some(FusedNorm { layer: index, relu: relu.is_some() });
                    }
                    groups[after] = None;
                    groups[index] = None;
                } else if let Some(relu) = relu {
                    let group = groups[index].as_mut().expect("a norm starts as a group");
                    group.wire.value = relu;
                    group.relu = true;
                    groups[relu] = None;
                }
            }
            Op::Add => {
                let (first, last) =
                    (layer.inputs[0].min(layer.inputs[1]), layer.inputs[0].max(layer.inputs[1]));
                if first < last && is_conv(&layers[last]) && readers.only(last).is_some() {
                    let group = groups[last].as_mut().expect("a convolution starts as a group");
                    group.wire.value = index;
                    group.wire.inputs.push(first);
                    group.residual = true;
                    groups[index] = None;
                }
            }
            _ => {}
        }
    }
    let mut groups: Vec<FusionGroup> = groups.into_iter().flatten().collect();
    for group in &mut groups {
        let value = group.wire.value;
        group.moments = is_conv(&layers[group.layer])
            && readers.of(value).iter().any(|&reader| matches!(layers[reader].op, Op::BatchNorm(_)));
    }
    groups
}

#[cfg(test)]
mod tests {
    use walk_arch::Activation;

    use super::*;
    use crate::test_support::image_network;

    #[test]
    fn norms_and_sums_go_into_the_convolutions_around_them() {
        let network = image_network(Activation::Relu);
        let groups = fused(&network);
        let name = |index: usize| network.layers()[index].name.as_str();
        let made: Vec<(&str, &str)> =
            groups.iter().map(|group| (name(group.layer), name(group.wire.value))).collect();
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
        assert!(groups[0].norm.is_some_and(|norm| !norm.relu) && groups[0].moments && groups[2].moments);
    }
}
