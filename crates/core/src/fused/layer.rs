//! A layer of the fused backend: with a tape, without one, and its requirements on its inputs.

use walk_kernels::batch_norm::Moments;
use walk_kernels::conv::Scratch;

use super::channel_order::ChannelOrder;
use super::pass::{Pass, Value};
use crate::{BatchNormMode, CoreError, Point};

/// A layer with the operations fused into it, for one network. Each has a file in `layers/`.
pub(super) trait FusedLayer: Send + Sync {
    /// Its requirements on its inputs, and where it writes.
    fn layout(&self) -> Layout;

    /// Lays out the parameters of a point for [`FusedLayer::evaluate`].
    fn pack(&mut self, _point: &Point) {}

    /// Its value without a tape, on the calling thread. Not called if the layout says that the value is the input.
    fn evaluate(&self, _call: Call<'_>) {
        unreachable!("its value is its input");
    }

    /// Its value over all threads, and its tangent if the pass has a direction; their reverse passes are recorded.
    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError>;
}

/// A layer's requirements on its inputs, and where it writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The channel order of its inputs and its output; `None` for that of the first input, whichever it is.
    pub(super) order: Option<ChannelOrder>,
    /// Whether samples in its inputs may be followed by padding.
    pub(super) padded: bool,
    /// Where an evaluation writes the output.
    pub(super) output: Output,
}

/// Where an evaluation writes a layer's output.
#[derive(Clone, Copy, Debug)]
pub(super) enum Output {
    /// Nowhere: it is the first input.
    Input,
    /// In place, over the input of this number.
    Over(usize),
    /// Into a buffer with this number of elements per sample.
    New(usize),
}

/// The inputs of a layer on the tape, in the order required by its layout.
pub(super) struct Inputs(Vec<Value>);

impl Inputs {
    /// Of a layer.
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values)
    }

    /// The only input.
    pub(super) fn one(self) -> Value {
        let [x] = self.exactly();
        x
    }

    /// Both inputs.
    pub(super) fn two(self) -> [Value; 2] {
        self.exactly()
    }

    /// The first input, and the second if there is one.
    pub(super) fn one_or_two(self) -> (Value, Option<Value>) {
        let mut values = self.0.into_iter();
        (values.next().expect("a layer has an input"), values.next())
    }

    fn exactly<const N: usize>(self) -> [Value; N] {
        self.0.try_into().expect("the graph check holds layers to their arity")
    }
}

/// One evaluation of a layer for a chunk of samples.
pub(super) struct Call<'a> {
    /// Number of samples.
    pub(super) rows: usize,
    pub(super) mode: BatchNormMode,
    /// The inputs by number, row by row; an input that is overwritten is empty here.
    pub(super) x: [&'a [f32]; 2],
    /// The output, which initially contains an input if that is overwritten.
    pub(super) y: &'a mut [f32],
    /// What is known about the channels of the first input, even if it is overwritten.
    pub(super) input: &'a mut Measured,
    /// Where the layer may record measurements of its output's channels.
    pub(super) output: &'a mut Measured,
    pub(super) scratch: &'a mut LayerScratch,
}

/// Buffers that a layer may use while it is evaluated.
#[derive(Default)]
pub(super) struct LayerScratch {
    pub(super) conv: Scratch,
    pub(super) rows: Vec<f32>,
}

/// The moments of a buffer's channels, if they were measured since it was written.
#[derive(Default)]
pub(super) struct Measured {
    moments: Moments,
    known: bool,
}

impl Measured {
    /// Forgets what was measured.
    pub(super) fn forget(&mut self) {
        self.known = false;
    }

    /// Moments that the caller is about to compute.
    pub(super) fn gathered(&mut self, columns: usize) -> &mut Moments {
        self.moments.reset(columns);
        self.known = true;
        &mut self.moments
    }

    /// The moments of `values`, which are in this buffer.
    pub(super) fn of(&mut self, values: &[f32], columns: usize) -> &Moments {
        if !self.known {
            self.gathered(columns).add(values);
        }
        &self.moments
    }
}
