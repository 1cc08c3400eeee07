//! A network's evaluation without a tape as steps on numbered buffers, planned once.

use walk_arch::{Layer, Network};

use super::Convolution;
use super::channel_order::{ChannelOrder, channels_and_pixels, is_in_either};
use super::fusion::{self, FusionGroup};
use super::layer::{FusedLayer, Output};
use super::layers::fused_layer;
use crate::executor::uses;

/// The steps of an evaluation. Buffer 0 holds the inputs.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Elements of each buffer per sample.
    pub(super) strides: Vec<usize>,
    /// The buffer whose rows start with the outputs.
    pub(super) output: usize,
}

/// One step, which never reads what it writes, except in place.
pub(super) struct Step {
    pub(super) work: Work,
    /// The buffer of each input, in place or not.
    pub(super) from: Vec<usize>,
    pub(super) to: usize,
}

/// What a step does.
pub(super) enum Work {
    Layer(Box<dyn FusedLayer>),
    /// Images of `[channels, pixels]` in another order.
    Convert {
        image: [usize; 2],
        order: ChannelOrder,
    },
    /// The same elements, as many as the output has.
    Copy,
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
    plan: Plan,
    /// By value.
    places: Vec<Option<Place>>,
    /// The number of reads of each buffer that are not planned yet.
    readers: Vec<usize>,
    /// Buffers of the layer being planned; each counts one additional read until it is planned.
    pinned: Vec<usize>,
}

impl Plan {
    pub(super) fn new(network: &Network, convolution: Convolution) -> Self {
        Self::of(network, &fusion::for_evaluation(network), convolution)
    }

    /// The plan for given groups of layers.
    pub(super) fn of(network: &Network, groups: &[FusionGroup], convolution: Convolution) -> Self {
        let layers = network.layers();
        let uses = uses(groups.iter().map(|group| &group.wire), &[network.output()]);
        let mut planner = Planner {
            layers,
            plan: Self { steps: vec![], strides: vec![], output: 0 },
            places: vec![None; layers.len()],
            readers: vec![],
            pinned: vec![],
        };
        let input = Place { buffer: planner.buffer(layers[0].len()), order: ChannelOrder::ChannelsFirst };
        planner.planned(0, input, uses[0]);
        for group in groups {
            let place = planner.place(fused_layer(network, group, convolution), &group.wire.inputs);
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
        self.places[value].expect("inputs are planned before their readers")
    }

    fn planned(&mut self, value: usize, place: Place, uses: usize) {
        self.places[value] = Some(place);
        self.readers[place.buffer] += uses;
        for buffer in std::mem::take(&mut self.pinned) {
            self.readers[buffer] -= 1;
        }
    }

    /// Plans a layer that reads the values `inputs` and returns the position of its own value.
    fn place(&mut self, layer: Box<dyn FusedLayer>, inputs: &[usize]) -> Place {
        let layout = layer.layout();
        let order = layout.order.unwrap_or_else(|| self.at(inputs[0]).order);
        let ready = |input: &usize| {
            let buffer = self.in_order(*input, order);
            if layout.padded { buffer } else { self.trimmed(*input, buffer) }
        };
        let mut from: Vec<usize> = inputs.iter().map(ready).collect();
        let to = match layout.output {
            Output::Input => return Place { buffer: from[0], order },
            Output::Over(input) => {
                from[input] = self.own(inputs[input], from[input]);
                from[input]
            }
            Output::New(stride) => self.buffer(stride),
        };
        self.plan.steps.push(Step { work: Work::Layer(layer), from, to });
        Place { buffer: to, order }
    }

    /// A buffer with the value of layer `input` in the given order.
    fn in_order(&mut self, input: usize, order: ChannelOrder) -> usize {
        let place = self.at(input);
        let layer = &self.layers[input];
        if place.order == order || is_in_either(&layer.shape) {
            return place.buffer;
        }
        let image = channels_and_pixels(&layer.shape);
        self.moved(Work::Convert { image, order }, place.buffer, layer.len())
    }

    /// A buffer with the value of layer `input`, now in `buffer`, without padding.
    fn trimmed(&mut self, input: usize, buffer: usize) -> usize {
        let len = self.layers[input].len();
        if self.plan.strides[buffer] == len { buffer } else { self.moved(Work::Copy, buffer, len) }
    }

    /// A buffer with the value of layer `input`, now in `buffer`, that may be overwritten.
    fn own(&mut self, input: usize, buffer: usize) -> usize {
        let is_its_own = buffer != self.at(input).buffer;
        if is_its_own || self.readers[buffer] == 1 {
            return buffer;
        }
        self.moved(Work::Copy, buffer, self.plan.strides[buffer])
    }

    /// A buffer of `stride` elements per sample with the result of applying `work` to another.
    fn moved(&mut self, work: Work, from: usize, stride: usize) -> usize {
        let to = self.buffer(stride);
        self.plan.steps.push(Step { work, from: vec![from], to });
        to
    }

    /// A buffer that is no longer read, or a new one.
    fn buffer(&mut self, stride: usize) -> usize {
        let strides = &self.plan.strides;
        // buffer 0 holds the inputs, written before the first step
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
}
