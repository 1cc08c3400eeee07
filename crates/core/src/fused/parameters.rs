//! A layer's parameters in θ, in a direction of it, or at a point.

use dfdx::tensor::{Cpu, CpuError};
use walk_arch::{Layer, LayerParams};

use super::tape::Grads;
use super::view;
use crate::Point;
use crate::tensors::Flat;

/// A layer's part of θ, or of a direction of it.
#[derive(Clone)]
pub(super) struct Parameters {
    all: Flat<Cpu>,
    place: LayerParams,
}

impl Parameters {
    pub(super) fn new(all: &Flat<Cpu>, place: &LayerParams) -> Self {
        Self { all: all.clone(), place: place.clone() }
    }

    /// W, or γ; empty if there is none.
    pub(super) fn weight(&self) -> &[f32] {
        &view::flat(&self.all)[self.place.weight.clone()]
    }

    /// b, or β; empty if there is none.
    pub(super) fn bias(&self) -> &[f32] {
        &view::flat(&self.all)[self.place.bias.clone()]
    }

    /// Only the weight.
    pub(super) fn without_bias(&self) -> Self {
        let LayerParams { weight, .. } = self.place.clone();
        let bias = weight.end..weight.end;
        Self { all: self.all.clone(), place: LayerParams { weight, bias } }
    }

    /// Where the gradients of weight and bias are accumulated.
    pub(super) fn gradients<'a>(&self, grads: &'a mut Grads) -> Result<[&'a mut [f32]; 2], CpuError> {
        let LayerParams { weight, bias } = self.place.clone();
        let (head, tail) = grads.get_or_alloc_mut(&self.all)?.split_at_mut(bias.start);
        Ok([&mut head[weight], &mut tail[..bias.len()]])
    }
}

/// The position of a layer's parameters.
pub(super) fn params(layer: &Layer) -> LayerParams {
    layer.params.clone().expect("the graph check gives it parameters")
}

/// A layer's weight and bias at a point.
pub(super) fn values<'a>(point: &'a Point, params: &LayerParams) -> [&'a [f32]; 2] {
    [&params.weight, &params.bias].map(|range| &point.params[range.clone()])
}
