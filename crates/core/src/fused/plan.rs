//! A network's forward pass as a list of kernel calls on numbered buffers, planned once.

use walk_arch::{Layer, LayerBuffers, LayerParams, Network, Op};
use walk_kernels::activation::Activation;
use walk_kernels::batch_matmul::BatchMatmul;
use walk_kernels::conv::PackedConv;
use walk_kernels::linear::{LinearShape, PackedLinear};
use walk_kernels::matmul::Write;
use walk_kernels::pool::PoolShape;
use walk_kernels::rearrange::Rearrangement;
use walk_kernels::scale_shift::Columns;

use super::Convolution;
use super::channel_order::ChannelOrder;
use super::fusion::{self, FusedNorm, FusionGroup};
use super::shapes::{
    batch_matmul, channels_and_pixels, columns, conv_shape, pool_shape, rearrangements, whole_image,
};
use crate::executor::uses;
use crate::kernel_activation::kernel_activation;
use crate::row_norm::RowNorm;

/// The kernel calls of a forward pass. Buffer 0 holds the inputs.
pub(super) struct KernelPlan {
    pub(super) calls: Vec<KernelCall>,
    pub(super) norms: Vec<Norm>,
    /// Elements of each buffer per sample.
    pub(super) strides: Vec<usize>,
    /// The buffer whose rows begin with the outputs.
    pub(super) output: usize,
}

/// One kernel call.
pub(super) struct KernelCall {
    pub(super) kernel: Kernel,
    /// The buffers that it only reads.
    pub(super) from: Vec<usize>,
    /// The buffer that it writes, changes in place or, for [`Kernel::Moments`], measures.
    pub(super) to: usize,
}

/// What a call computes. Parameters are laid out again for every point.
pub(super) enum Kernel {
    /// With `pieces` rows of each sample.
    Linear {
        place: LayerParams,
        packed: PackedLinear,
        pieces: usize,
    },
    /// Of the input's values after a norm, if there is one; `moments` says whether to measure the output's.
    Conv {
        place: LayerParams,
        packed: Box<PackedConv>,
        norm: Option<usize>,
        write: Write,
        moments: bool,
    },
    /// Measures the channels of a value.
    Moments {
        columns: usize,
    },
    Normalize {
        norm: usize,
    },
    Activation(Activation),
    MaxPool(PoolShape),
    AvgPool(PoolShape),
    Convert {
        image: [usize; 2],
        order: ChannelOrder,
    },
    Copy,
    /// Takes the first `len` elements of every piece of `stride`.
    Trim {
        stride: usize,
        len: usize,
    },
    Rearrange {
        rearrangement: Rearrangement,
        write: Write,
    },
    Mul,
    Matmul(BatchMatmul),
    Softmax {
        len: usize,
    },
    Standardize {
        len: usize,
        eps: f32,
    },
    /// `packed` are γ and β.
    ScaleShift {
        place: LayerParams,
        columns: Columns,
        packed: [Vec<f32>; 2],
    },
    Add,
}

/// A batch norm.
pub(super) struct Norm {
    pub(super) place: LayerParams,
    pub(super) buffers: LayerBuffers,
    pub(super) eps: f32,
    /// Whether a ReLU follows.
    pub(super) relu: bool,
    /// The buffer whose channels' moments it uses.
    pub(super) at: usize,
    pub(super) packed: PackedNorm,
}

/// A norm's parameters and running statistics, padded with zeros to the columns of its values.
pub(super) struct PackedNorm {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) mean: Vec<f32>,
    pub(super) var: Vec<f32>,
}

impl PackedNorm {
    fn new(columns: usize) -> Self {
        let zeros = vec![0.0; columns];
        Self { scale: zeros.clone(), shift: zeros.clone(), mean: zeros.clone(), var: zeros }
    }
}

/// Where a layer's value is at a stage of the plan.
#[derive(Clone, Copy)]
struct Place {
    buffer: usize,
    order: ChannelOrder,
}

/// A plan under construction.
struct Planner<'a> {
    layers: &'a [Layer],
    convolution: Convolution,
    plan: KernelPlan,
    /// By value.
    places: Vec<Option<Place>>,
    /// The number of reads of each buffer that are not planned yet.
    readers: Vec<usize>,
    /// Buffers of the group being planned; each counts one read more until the group is planned.
    pinned: Vec<usize>,
}

impl KernelPlan {
    pub(super) fn new(network: &Network, convolution: Convolution) -> Self {
        let plan = Self { calls: vec![], norms: vec![], strides: vec![], output: 0 };
        let layers = network.layers();
        let groups = fusion::fused(network);
        let uses = uses(groups.iter().map(|group| &group.wire), network.output());
        let places = vec![None; layers.len()];
        let mut planner = Planner { layers, convolution, plan, places, readers: vec![], pinned: vec![] };
        let input = Place { buffer: planner.buffer(layers[0].len()), order: ChannelOrder::ChannelsFirst };
        planner.planned(0, input, uses[0]);
        for group in &groups {
            let place = planner.place(group);
            for &input in &group.wire.inputs {
                let buffer = planner.at(input).buffer;
                planner.readers[buffer] -= 1;
            }
            planner.planned(group.wire.value, place, uses[group.wire.value]);
        }
        planner.plan.output = planner.at(network.output()).buffer;
        planner.plan
    }
}

impl Planner<'_> {
    fn at(&self, value: usize) -> Place {
        self.places[value].expect("inputs are planned before what reads them")
    }

    fn planned(&mut self, value: usize, place: Place, uses: usize) {
        self.places[value] = Some(place);
        self.readers[place.buffer] += uses;
        for buffer in std::mem::take(&mut self.pinned) {
            self.readers[buffer] -= 1;
        }
    }

    /// Plans one group and returns the place of its value.
    fn place(&mut self, group: &FusionGroup) -> Place {
        use ChannelOrder::{ChannelsFirst, ChannelsLast};
        let layer = &self.layers[group.layer];
        let input = |n: usize| group.wire.inputs[n];
        let shape = self.layers[input(0)].shape.as_slice();
        match &layer.op {
            Op::Input => unreachable!("the input is in no group"),
            // losses are evaluated without dropout
            Op::Flatten | Op::Dropout(_) => self.in_order(input(0), ChannelsFirst),
            Op::Reshape(_) => self.exact(input(0)),
            Op::Linear(linear) => self.linear(layer, input(0), shape, linear.out_features),
            Op::Conv2d(conv) => {
                let from = self.in_order(input(0), ChannelsLast).buffer;
                let shape = conv_shape(conv, shape);
                let norm = group.norm.map(|norm| self.norm(norm, from, shape.in_channels));
                let (to, write) = if group.residual {
                    (self.own(input(1), ChannelsLast), Write::Add)
                } else {
                    (self.buffer(shape.out_len()), Write::Replace)
                };
                let packed = Box::new(PackedConv::new(shape, self.convolution.algorithm(&shape)));
                let (place, moments) = (params(layer), group.moments);
                self.call(Kernel::Conv { place, packed, norm, write, moments }, &[from], to);
                Place { buffer: to, order: ChannelsLast }
            }
            Op::BatchNorm(_) => {
                let found = self.in_order(input(0), ChannelsLast);
                let known = found.buffer;
                let columns = if shape.len() == 1 { self.plan.strides[known] } else { shape[0] };
                let norm = self.norm(FusedNorm { layer: group.layer, relu: group.relu }, known, columns);
                let at = self.own_of(input(0), found);
                self.call(Kernel::Normalize { norm }, &[], at);
                Place { buffer: at, order: ChannelsLast }
            }
            Op::MaxPool2d(pool) => {
                let shape = pool_shape(pool, shape);
                self.pool(input(0), shape.out_len(), Kernel::MaxPool(shape))
            }
            Op::AvgPool2d(pool) => {
                let shape = pool_shape(pool, shape);
                self.pool(input(0), shape.out_len(), Kernel::AvgPool(shape))
            }
            Op::GlobalAvgPool => {
                let shape = whole_image(shape);
                self.pool(input(0), shape.out_len(), Kernel::AvgPool(shape))
            }
            Op::Activation(activation) => {
                let order = self.at(input(0)).order;
                let at = self.own(input(0), order);
                self.call(Kernel::Activation(kernel_activation(*activation)), &[], at);
                Place { buffer: at, order }
            }
            Op::Add => {
                let order = self.at(input(0)).order;
                let from = self.in_order(input(1), order).buffer;
                let to = self.own(input(0), order);
                self.call(Kernel::Add, &[from], to);
                Place { buffer: to, order }
            }
            _ => Place { buffer: self.tensor_layer(layer, &group.wire.inputs), order: ChannelsFirst },
        }
    }

    fn linear(&mut self, layer: &Layer, input: usize, shape: &[usize], out_features: usize) -> Place {
        let in_features = *shape.last().expect("shapes have a dimension");
        let packed = PackedLinear::new(LinearShape { in_features, out_features });
        let (pieces, stride) = (layer.len() / out_features, packed.stride());
        // the padding of one piece per sample may stay, since later layers skip it
        let from = if pieces == 1 { self.at(input).buffer } else { self.exact(input).buffer };
        let to = self.buffer(pieces * stride);
        self.call(Kernel::Linear { place: params(layer), packed, pieces }, &[from], to);
        let buffer = if pieces == 1 || stride == out_features {
            to
        } else {
            let trimmed = self.buffer(layer.len());
            self.call(Kernel::Trim { stride, len: out_features }, &[to], trimmed);
            trimmed
        };
        Place { buffer, order: ChannelOrder::ChannelsFirst }
    }

    /// A layer on values of any shape; returns the buffer of its value.
    fn tensor_layer(&mut self, layer: &Layer, inputs: &[usize]) -> usize {
        let shapes: Vec<&[usize]> =
            layer.inputs.iter().map(|&input| self.layers[input].shape.as_slice()).collect();
        if let Some(parts) = rearrangements(&layer.op, &shapes, &layer.shape) {
            let to = self.buffer(layer.len());
            for (part, rearrangement) in parts.into_iter().enumerate() {
                let from = self.exact(inputs[part]).buffer;
                let write = if part > 0 { Write::Add } else { Write::Replace };
                self.call(Kernel::Rearrange { rearrangement, write }, &[from], to);
            }
            return to;
        }
        if let Op::Matmul(matmul) = &layer.op {
            let operands = [0, 1].map(|n| self.exact(inputs[n]).buffer);
            let (to, shape) = (self.buffer(layer.len()), batch_matmul(matmul, shapes[0], shapes[1]));
            self.call(Kernel::Matmul(shape), &operands, to);
            return to;
        }
        let other = (layer.op == Op::Mul).then(|| self.exact(inputs[1]).buffer);
        let found = self.exact(inputs[0]);
        let at = self.own_of(inputs[0], found);
        match &layer.op {
            Op::Mul => {
                let from = other.expect("a product has two operands");
                self.call(Kernel::Mul, &[from], at);
            }
            Op::Softmax => {
                let len = *layer.shape.last().expect("shapes have a dimension");
                self.call(Kernel::Softmax { len }, &[], at);
            }
            op => {
                if let Some(RowNorm { len, eps }) = RowNorm::new(op, &layer.shape) {
                    self.call(Kernel::Standardize { len, eps }, &[], at);
                }
                let (place, columns) = (params(layer), columns(op, &layer.shape));
                self.call(Kernel::ScaleShift { place, columns, packed: [vec![], vec![]] }, &[], at);
            }
        }
        at
    }

    /// The value of layer `input`, channels first and without padding.
    fn exact(&mut self, input: usize) -> Place {
        let place = self.in_order(input, ChannelOrder::ChannelsFirst);
        let (stride, len) = (self.plan.strides[place.buffer], self.layers[input].len());
        if stride == len {
            return place;
        }
        let to = self.buffer(len);
        self.call(Kernel::Trim { stride, len }, &[place.buffer], to);
        Place { buffer: to, ..place }
    }

    /// A norm of the value in buffer `at`, which is measured unless the call that wrote it does so.
    fn norm(&mut self, FusedNorm { layer, relu }: FusedNorm, at: usize, columns: usize) -> usize {
        let layer = &self.layers[layer];
        let Op::BatchNorm(options) = &layer.op else { unreachable!("only called for batch norms") };
        let last = self.plan.calls.iter().rfind(|call| call.to == at).map(|call| &call.kernel);
        if !matches!(last, Some(Kernel::Moments { .. } | Kernel::Conv { moments: true, .. })) {
            self.call(Kernel::Moments { columns }, &[], at);
        }
        let buffers = layer.buffers.clone().expect("a norm has buffers");
        let (place, packed) = (params(layer), PackedNorm::new(columns));
        self.plan.norms.push(Norm { place, buffers, eps: options.eps, relu, at, packed });
        self.plan.norms.len() - 1
    }

    fn pool(&mut self, input: usize, out_len: usize, kernel: Kernel) -> Place {
        let from = self.in_order(input, ChannelOrder::ChannelsLast).buffer;
        let to = self.buffer(out_len);
        self.call(kernel, &[from], to);
        Place { buffer: to, order: ChannelOrder::ChannelsLast }
    }

    fn call(&mut self, kernel: Kernel, from: &[usize], to: usize) {
        self.plan.calls.push(KernelCall { kernel, from: from.to_vec(), to });
    }

    /// A buffer that is no longer read, or a new one.
    fn buffer(&mut self, stride: usize) -> usize {
        let strides = &self.plan.strides;
        // buffer 0 holds the inputs, written before the first call
        let free = (1..strides.len()).find(|&buffer| self.readers[buffer] == 0 && strides[buffer] == stride);
        let buffer = free.unwrap_or_else(|| {
            self.plan.strides.push(stride);
            self.readers.push(0);
            self.plan.strides.len() - 1
        });
        self.readers[buffer] += 1;
        self.pinned.push(buffer);
        buffer
    }

    /// The value of layer `input` in the given order, converted if necessary.
    fn in_order(&mut self, input: usize, order: ChannelOrder) -> Place {
        let place = self.at(input);
        let image = channels_and_pixels(&self.layers[input].shape);
        if place.order == order || image.contains(&1) {
            return Place { order, ..place };
        }
        let to = self.buffer(self.layers[input].len());
        self.call(Kernel::Convert { image, order }, &[place.buffer], to);
        Place { buffer: to, order }
    }

    /// A buffer with the value of layer `input` that may be overwritten.
    fn own(&mut self, input: usize, order: ChannelOrder) -> usize {
        let found = self.in_order(input, order);
        self.own_of(input, found)
    }

    /// [`Planner::own`] of a value that is in its order already.
    fn own_of(&mut self, input: usize, found: Place) -> usize {
        let buffer = found.buffer;
        let converted = buffer != self.at(input).buffer;
        if converted || self.readers[buffer] == 1 {
            return buffer;
        }
        let to = self.buffer(self.plan.strides[buffer]);
        self.call(Kernel::Copy, &[buffer], to);
        to
    }
}

fn params(layer: &Layer) -> LayerParams {
    layer.params.clone().expect("the graph check gives it parameters")
}
