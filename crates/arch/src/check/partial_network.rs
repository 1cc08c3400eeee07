//! The part of a network that has been checked, and checks shared by layers.

use std::ops::{Range, RangeInclusive};

use super::error::{GraphError, MAX_PARAMS};
use crate::{BufferSpec, Init, Layer, Node, ParamSpec};

/// The part of the network that has been checked.
#[derive(Default)]
pub(super) struct PartialNetwork {
    pub(super) layers: Vec<Layer>,
    pub(super) params: Vec<ParamSpec>,
    pub(super) buffers: Vec<BufferSpec>,
}

impl PartialNetwork {
    /// Appends a parameter tensor; `fan_in` resolves [`Init::FanIn`].
    pub(super) fn param(
        &mut self,
        node: &Node,
        suffix: &str,
        shape: &[usize],
        init: Init,
        fan_in: usize,
    ) -> Result<Range<usize>, GraphError> {
        let start = self.params.last().map_or(0, |last| last.range.end);
        let end = elements(shape).and_then(|n| start.checked_add(n)).filter(|&end| end <= MAX_PARAMS);
        let end = end.ok_or_else(|| too_large(node, "the parameters so far", MAX_PARAMS))?;
        let init = match init {
            Init::FanIn => {
                let bound = 1.0 / (fan_in as f32).sqrt();
                Init::Uniform { low: -bound, high: bound }
            }
            Init::FanOut => {
                let fan_out = shape[0] * shape[2..].iter().product::<usize>();
                Init::Normal { std: (2.0 / fan_out as f32).sqrt() }
            }
            given => given,
        };
        let given = node.names.iter().find(|given| given.of == suffix);
        let name = given.map_or_else(|| format!("{}.{suffix}", node.name), |given| given.name.clone());
        let shape = match given.and_then(|given| given.shape.clone()) {
            Some(found) if elements(&found) != elements(shape) => {
                return Err(GraphError::ParamShape { name, found, expected: shape.to_vec() });
            }
            given => given.unwrap_or_else(|| shape.to_vec()),
        };
        self.params.push(ParamSpec { name, shape, init, range: start..end });
        Ok(start..end)
    }

    /// A bias of `len` values; none at all if `len` is 0.
    pub(super) fn bias(
        &mut self,
        node: &Node,
        len: usize,
        init: Init,
        fan_in: usize,
    ) -> Result<Range<usize>, GraphError> {
        let end = self.params.last().map_or(0, |last| last.range.end);
        if len == 0 { Ok(end..end) } else { self.param(node, "bias", &[len], init, fan_in) }
    }

    pub(super) fn buffer(&mut self, node: &Node, suffix: &str, len: usize, init: f32) -> Range<usize> {
        let start = self.buffers.last().map_or(0, |last| last.range.end);
        let range = start..start + len;
        let given = node.names.iter().find(|given| given.of == suffix);
        let name = given.map_or_else(|| format!("{}.{suffix}", node.name), |given| given.name.clone());
        self.buffers.push(BufferSpec { name, init, range: range.clone() });
        range
    }
}

/// Number of elements of a shape, `None` on overflow.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n))
}

/// Channels, height and width, or a description of what was expected.
pub(super) fn image(shape: &[usize]) -> Result<[usize; 3], String> {
    shape.try_into().map_err(|_| "an image, [channels, height, width]".into())
}

pub(super) fn too_large(node: &Node, what: &'static str, limit: usize) -> GraphError {
    GraphError::TooLarge { layer: node.name.clone(), what, limit }
}

pub(super) fn at_least_one(node: &Node, field: &'static str, found: usize) -> Result<usize, GraphError> {
    if found == 0 {
        let (layer, found) = (node.name.clone(), found.to_string());
        return Err(GraphError::Field { layer, field, found, expected: "at least 1" });
    }
    Ok(found)
}

pub(super) fn check_number(
    node: &Node,
    field: &'static str,
    found: f32,
    range: RangeInclusive<f32>,
    expected: &'static str,
) -> Result<(), GraphError> {
    if range.contains(&found) {
        return Ok(());
    }
    Err(GraphError::Field { layer: node.name.clone(), field, found: found.to_string(), expected })
}

pub(super) fn check_init(node: &Node, field: &'static str, init: Init) -> Result<(), GraphError> {
    let good = match init {
        Init::Constant(value) => value.is_finite(),
        Init::Uniform { low, high } => low.is_finite() && high.is_finite() && low < high,
        Init::Normal { std } => std.is_finite() && std > 0.0,
        Init::FanIn | Init::FanOut => true,
    };
    if good {
        return Ok(());
    }
    let (layer, found) = (node.name.clone(), format!("{init:?}"));
    Err(GraphError::Field { layer, field, found, expected: "finite values, low < high, std > 0" })
}
