//! A checked architecture with known shapes and parameters laid out in one flat vector.

use std::ops::Range;

use crate::{Init, Op, Problem};

/// A graph that passed [`Graph::check`](crate::Graph::check).
///
/// Every layer comes after its inputs, every shape is known, and every parameter has its position in the flat
/// vector θ of length P = [`Network::n_params`].
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub(crate) problem: Problem,
    pub(crate) layers: Vec<Layer>,
    pub(crate) output: usize,
    pub(crate) params: Vec<ParamSpec>,
    pub(crate) buffers: Vec<BufferSpec>,
}

/// One layer of a [`Network`].
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its unique name.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Indices of the layers it reads, all smaller than its own.
    pub inputs: Vec<usize>,
    /// Shape of its value for one sample.
    pub shape: Vec<usize>,
    /// The position of its parameters in θ.
    pub params: Option<LayerParams>,
    /// The position of its buffers in the flat buffer vector.
    pub buffers: Option<LayerBuffers>,
}

/// A layer's part of θ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerParams {
    /// Weight: `[out, in]` of a linear layer, `[out, in / groups, height, width]` of a convolution, γ of batch norm.
    pub weight: Range<usize>,
    /// Bias: b of a linear layer or convolution, β of batch norm; empty if there is none.
    pub bias: Range<usize>,
}

/// A batch-norm layer's part of the buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerBuffers {
    /// Running mean.
    pub mean: Range<usize>,
    /// Running (unbiased) variance.
    pub var: Range<usize>,
}

/// One named parameter tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// PyTorch's name: `features.0.weight`.
    pub name: String,
    /// Its shape, in PyTorch's order.
    pub shape: Vec<usize>,
    /// Its initial values; [`Init::FanIn`] and [`Init::FanOut`] are already resolved to
    /// [`Init::Uniform`] and [`Init::Normal`].
    pub init: Init,
    /// Its position in θ.
    pub range: Range<usize>,
}

/// One named buffer: state that is not trained.
#[derive(Clone, Debug, PartialEq)]
pub struct BufferSpec {
    /// PyTorch's name: `features.1.running_mean`.
    pub name: String,
    /// The initial value of every element.
    pub init: f32,
    /// Its position in the flat buffer vector.
    pub range: Range<usize>,
}

impl Network {
    /// The problem the network was built for.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The layers, each after its inputs.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Index of the layer whose value is the output, of shape `[classes]`.
    pub fn output(&self) -> usize {
        self.output
    }

    /// The parameter tensors in the order of θ.
    pub fn params(&self) -> &[ParamSpec] {
        &self.params
    }

    /// The buffers in order.
    pub fn buffers(&self) -> &[BufferSpec] {
        &self.buffers
    }

    /// P, the length of θ.
    pub fn n_params(&self) -> usize {
        self.params.last().map_or(0, |last| last.range.end)
    }

    /// Length of the flat buffer vector.
    pub fn n_buffers(&self) -> usize {
        self.buffers.last().map_or(0, |last| last.range.end)
    }

    /// Whether it has batch norm layers, the only layers with buffers.
    pub fn has_batch_norm(&self) -> bool {
        !self.buffers.is_empty()
    }

    /// The buffers before any training step.
    pub fn initial_buffers(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.n_buffers()];
        for buffer in &self.buffers {
            values[buffer.range.clone()].fill(buffer.init);
        }
        values
    }

    /// Multiply-adds of one forward pass on one sample, in the linear and convolutional layers and matrix products.
    pub fn multiply_adds(&self) -> usize {
        self.layers.iter().map(|layer| self.layer_multiply_adds(layer)).sum()
    }

    /// Multiply-adds of one of its layers.
    pub fn layer_multiply_adds(&self, layer: &Layer) -> usize {
        let weights = layer.params.as_ref().map_or(0, |params| params.weight.len());
        match layer.op {
            Op::Linear(_) => weights * layer.shape[..layer.shape.len() - 1].iter().product::<usize>(),
            Op::Conv2d(_) => weights * layer.shape[1] * layer.shape[2],
            Op::Matmul(_) => layer.len() * self.layers[layer.inputs[0]].shape.last().unwrap_or(&1),
            _ => 0,
        }
    }
}

impl Layer {
    /// Number of elements of its value for one sample.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether its value has no elements; never true in a checked network.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
