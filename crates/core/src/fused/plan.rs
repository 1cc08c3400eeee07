//! A network as a list of kernel calls on numbered buffers, planned once.

use walk_arch::{Layer, LayerBuffers, LayerParams, Network, Op};
use walk_kernels::activation::Activation;
use walk_kernels::conv::PackedConv;
use walk_kernels::linear::{LinearShape, PackedLinear};
use walk_kernels::pool::PoolShape;

use super::image_ops::Layout;
use super::shapes::{channels_and_pixels, conv_shape, pool_shape, whole_image};
use super::{Convolution, kernel_activation};
use crate::executor::uses;

/// The kernel calls of a forward pass. Buffer 0 holds the inputs.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Elements of each buffer per sample.
    pub(super) strides: Vec<usize>,
    /// The buffer with the outputs, at the start of each of its rows.
    pub(super) output: usize,
}

/// One kernel call. Parameters are taken over anew at every point.
pub(super) enum Step {
    Linear {
        from: usize,
        to: usize,
        place: LayerParams,
        packed: PackedLinear,
    },
    Conv {
        from: usize,
        to: usize,
        place: LayerParams,
        packed: PackedConv,
    },
    BatchNorm {
        at: usize,
        place: LayerParams,
        buffers: LayerBuffers,
        eps: f32,
        relu: bool,
        packed: PackedNorm,
    },
    Activation {
        at: usize,
        activation: Activation,
    },
    MaxPool {
        from: usize,
        to: usize,
        shape: PoolShape,
    },
    AvgPool {
        from: usize,
        to: usize,
        shape: PoolShape,
    },
    Convert {
        from: usize,
        to: usize,
        image: [usize; 2],
        layout: Layout,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Add {
        from: usize,
        to: usize,
    },
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

/// Where a layer's value lies while the plan is made.
#[derive(Clone, Copy)]
struct Place {
    buffer: usize,
    layout: Layout,
}

/// A plan under construction.
struct Planner<'a> {
    layers: &'a [Layer],
    convolution: Convolution,
    uses: Vec<usize>,
    plan: Plan,
    places: Vec<Place>,
    /// Reads still to come of each buffer.
    readers: Vec<usize>,
    /// Buffers handed out for the layer being planned, each with a reader of its own until it is planned.
    pinned: Vec<usize>,
}

impl Plan {
    pub(super) fn new(network: &Network, convolution: Convolution) -> Self {
        let plan = Self { steps: vec![], strides: vec![], output: 0 };
        let layers = network.layers();
        let mut planner = Planner {
            layers,
            convolution,
            uses: uses(network),
            plan,
            places: vec![],
            readers: vec![],
            pinned: vec![],
        };
        for (index, layer) in layers.iter().enumerate() {
            let place = planner.place(layer);
            planner.places.push(place);
            for &input in &layer.inputs {
                planner.readers[planner.places[input].buffer] -= 1;
            }
            planner.readers[place.buffer] += planner.uses[index];
            for buffer in std::mem::take(&mut planner.pinned) {
                planner.readers[buffer] -= 1;
            }
        }
        planner.plan.output = planner.places[network.output()].buffer;
        planner.plan
    }
}

impl Planner<'_> {
    /// Plans one layer and says where its value will be.
    fn place(&mut self, layer: &Layer) -> Place {
        use Layout::{ChannelsFirst, ChannelsLast};
        let input = |n: usize| layer.inputs[n];
        let shape = layer.inputs.first().map_or(&[][..], |&input| self.layers[input].shape.as_slice());
        match &layer.op {
            Op::Input => Place { buffer: self.buffer(layer.len()), layout: ChannelsFirst },
            Op::Flatten => self.in_layout(input(0), ChannelsFirst),
            Op::Linear(linear) => {
                let from = self.places[input(0)].buffer;
                let in_features = self.layers[input(0)].len();
                let packed =
                    PackedLinear::new(LinearShape { in_features, out_features: linear.out_features });
                let to = self.buffer(packed.stride());
                self.plan.steps.push(Step::Linear { from, to, place: params(layer), packed });
                Place { buffer: to, layout: ChannelsFirst }
            }
            Op::Conv2d(conv) => {
                let from = self.in_layout(input(0), ChannelsLast).buffer;
                let shape = conv_shape(conv, shape);
                let to = self.buffer(shape.out_len());
                let packed = PackedConv::new(shape, self.convolution.algorithm(&shape));
                self.plan.steps.push(Step::Conv { from, to, place: params(layer), packed });
                Place { buffer: to, layout: ChannelsLast }
            }
            Op::BatchNorm(norm) => {
                let at = self.own(input(0), ChannelsLast);
                let columns = if shape.len() == 1 { self.plan.strides[at] } else { shape[0] };
                let buffers = layer.buffers.clone().expect("a norm has buffers");
                let (place, packed) = (params(layer), PackedNorm::new(columns));
                self.plan.steps.push(Step::BatchNorm {
                    at,
                    place,
                    buffers,
                    eps: norm.eps,
                    relu: false,
                    packed,
                });
                Place { buffer: at, layout: ChannelsLast }
            }
            Op::MaxPool2d(pool) => {
                let shape = pool_shape(pool, shape);
                self.pool(input(0), &shape, |from, to| Step::MaxPool { from, to, shape })
            }
            Op::AvgPool2d(pool) => {
                let shape = pool_shape(pool, shape);
                self.pool(input(0), &shape, |from, to| Step::AvgPool { from, to, shape })
            }
            Op::GlobalAvgPool => {
                let shape = whole_image(shape);
                self.pool(input(0), &shape, |from, to| Step::AvgPool { from, to, shape })
            }
            Op::Activation(activation) => {
                let layout = self.places[input(0)].layout;
                let at = self.own(input(0), layout);
                let activation = kernel_activation(*activation);
                match self.plan.steps.last_mut() {
                    // batch norm and ReLU in one pass over the values
                    Some(Step::BatchNorm { at: same, relu, .. })
                        if *same == at && activation == Activation::Relu && !*relu =>
                    {
                        *relu = true;
                    }
                    _ => self.plan.steps.push(Step::Activation { at, activation }),
                }
                Place { buffer: at, layout }
            }
            Op::Add => {
                let layout = self.places[input(0)].layout;
                let from = self.in_layout(input(1), layout).buffer;
                let to = self.own(input(0), layout);
                self.plan.steps.push(Step::Add { from, to });
                Place { buffer: to, layout }
            }
        }
    }

    fn pool(&mut self, input: usize, shape: &PoolShape, step: impl FnOnce(usize, usize) -> Step) -> Place {
        let from = self.in_layout(input, Layout::ChannelsLast).buffer;
        let to = self.buffer(shape.out_len());
        self.plan.steps.push(step(from, to));
        Place { buffer: to, layout: Layout::ChannelsLast }
    }

    /// A buffer that nobody reads any more, or a new one.
    fn buffer(&mut self, stride: usize) -> usize {
        let strides = &self.plan.strides;
        // buffer 0 is written before the first step
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

    /// The value of layer `input` in the layout wanted; converted if it has to be.
    fn in_layout(&mut self, input: usize, layout: Layout) -> Place {
        let place = self.places[input];
        let image = channels_and_pixels(&self.layers[input].shape);
        if place.layout == layout || image.contains(&1) {
            return Place { layout, ..place };
        }
        let to = self.buffer(self.layers[input].len());
        self.plan.steps.push(Step::Convert { from: place.buffer, to, image, layout });
        Place { buffer: to, layout }
    }

    /// A buffer with the value of layer `input` that may be written over.
    fn own(&mut self, input: usize, layout: Layout) -> usize {
        let buffer = self.in_layout(input, layout).buffer;
        let converted = buffer != self.places[input].buffer;
        if converted || self.readers[buffer] == 1 {
            return buffer;
        }
        let to = self.buffer(self.plan.strides[buffer]);
        self.plan.steps.push(Step::Copy { from: buffer, to });
        to
    }
}

fn params(layer: &Layer) -> LayerParams {
    layer.params.clone().expect("the graph check gives it parameters")
}
