//! Shapes and parameters of the layers on values of any shape.

use super::error::{GraphError, MAX_VALUE};
use super::partial_network::{
    PartialNetwork, at_least_one, check_init, check_number, elements, image, too_large,
};
use crate::{Init, Layer, LayerParams, Node, Op};

impl PartialNetwork {
    /// Infers the shape and the parameters of `layer`.
    pub(super) fn tensor_layer(
        &mut self,
        node: &Node,
        inputs: &[usize],
        layer: &mut Layer,
    ) -> Result<(), GraphError> {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|&input| self.layers[input].shape.clone()).collect();
        let x = &shapes[0];
        let mismatch = |found: &[usize], expected: String| {
            let (layer, op) = (node.name.clone(), node.op.name());
            GraphError::Shape { layer, op, found: found.to_vec(), expected }
        };
        layer.shape = match &node.op {
            Op::Mul => {
                if *x != shapes[1] {
                    return Err(mismatch(&shapes[1], format!("{x:?}, the shape of its first input")));
                }
                x.clone()
            }
            Op::Concat(concat) => {
                let (b, axis) = (&shapes[1], concat.axis);
                let fits = b.len() == x.len() && axis < x.len();
                if !fits || (0..x.len()).any(|d| d != axis && x[d] != b[d]) {
                    return Err(mismatch(b, format!("{x:?} but for dimension {axis}")));
                }
                let mut shape = x.clone();
                shape[axis] += b[axis];
                shape
            }
            Op::Reshape(reshape) => {
                let len = elements(&reshape.shape);
                if len != elements(x) || reshape.shape.is_empty() {
                    return Err(mismatch(x, format!("as many elements as {:?}", reshape.shape)));
                }
                reshape.shape.clone()
            }
            Op::Permute(permute) => {
                let mut sorted = permute.order.clone();
                sorted.sort_unstable();
                if sorted != (0..x.len()).collect::<Vec<_>>() {
                    return Err(mismatch(
                        x,
                        format!("as many dimensions as the order {:?} has", permute.order),
                    ));
                }
                permute.order.iter().map(|&d| x[d]).collect()
            }
            Op::Matmul(matmul) => {
                let b = &shapes[1];
                let finite = -f32::MAX..=f32::MAX;
                check_number(node, "scale", matmul.scale, finite, "a finite number")?;
                let ([lead @ .., rows, inner], [lead_b @ .., p, q]) = (x.as_slice(), b.as_slice()) else {
                    return Err(mismatch(if x.len() < 2 { x } else { b }, "at least two dimensions".into()));
                };
                let (inner_b, columns) = if matmul.transposed { (q, p) } else { (p, q) };
                if lead != lead_b || inner != inner_b {
                    let turned = if matmul.transposed { " transposed" } else { "" };
                    return Err(mismatch(b, format!("a matrix that{turned} can follow {x:?}")));
                }
                [lead, &[*rows, *columns]].concat()
            }
            Op::Softmax => x.clone(),
            Op::LayerNorm(norm) => {
                check_number(node, "eps", norm.eps, f32::MIN_POSITIVE..=1.0, "a number above 0, at most 1")?;
                if norm.dims == 0 || norm.dims > x.len() {
                    return Err(mismatch(x, format!("at least {} dimensions, at least 1", norm.dims)));
                }
                let shape = &x[x.len() - norm.dims..];
                layer.params = Some(self.scale_and_shift(node, shape, norm.affine)?);
                x.clone()
            }
            Op::GroupNorm(norm) => {
                check_number(node, "eps", norm.eps, f32::MIN_POSITIVE..=1.0, "a number above 0, at most 1")?;
                let groups = at_least_one(node, "groups", norm.groups)?;
                if !x[0].is_multiple_of(groups) {
                    return Err(mismatch(x, format!("channels divisible by groups ({groups})")));
                }
                layer.params = Some(self.scale_and_shift(node, &x[..1], norm.affine)?);
                x.clone()
            }
            Op::Bias(bias) => {
                check_init(node, "init", bias.init)?;
                let shape = trained_part(x, bias.axes).map_err(|expected| mismatch(x, expected))?;
                let range = self.param(node, "bias", shape, bias.init, elements(shape).unwrap_or(1))?;
                layer.params = Some(LayerParams { weight: range.start..range.start, bias: range });
                x.clone()
            }
            Op::Scale(scale) => {
                check_init(node, "init", scale.init)?;
                let shape = trained_part(x, scale.axes).map_err(|expected| mismatch(x, expected))?;
                let range = self.param(node, "weight", shape, scale.init, elements(shape).unwrap_or(1))?;
                layer.params = Some(LayerParams { weight: range.clone(), bias: range.end..range.end });
                x.clone()
            }
            Op::Affine(affine) => {
                let finite = -f32::MAX..=f32::MAX;
                check_number(node, "scale", affine.scale, finite.clone(), "a finite number")?;
                check_number(node, "shift", affine.shift, finite, "a finite number")?;
                x.clone()
            }
            Op::Crop(crop) => {
                let dims = x.len();
                if crop.start.len() != dims || crop.shape.len() != dims || crop.shape.contains(&0) {
                    return Err(mismatch(x, format!("as many dimensions as the window {:?}", crop.shape)));
                }
                if elements(&crop.shape).is_none_or(|n| n > MAX_VALUE) {
                    return Err(too_large(node, "its value for one sample", MAX_VALUE));
                }
                crop.shape.clone()
            }
            Op::Dropout(dropout) => {
                check_number(node, "p", dropout.p, 0.0..=0.999_999, "a number from 0, below 1")?;
                x.clone()
            }
            Op::PadChannels(pad) => {
                let [channels, height, width] = image(x).map_err(|expected| mismatch(x, expected))?;
                let channels = pad.before.checked_add(pad.after).and_then(|n| n.checked_add(channels));
                vec![channels.unwrap_or(usize::MAX), height, width]
            }
            Op::Subsample(sample) => {
                let [channels, height, width] = image(x).map_err(|expected| mismatch(x, expected))?;
                at_least_one(node, "stride", sample.stride[0].min(sample.stride[1]))?;
                vec![channels, height.div_ceil(sample.stride[0]), width.div_ceil(sample.stride[1])]
            }
            op => unreachable!("{op:?} is checked with the layers on vectors and images"),
        };
        Ok(())
    }

    /// γ = 1 and β = 0 of a normalization without running statistics, if it has them.
    fn scale_and_shift(
        &mut self,
        node: &Node,
        shape: &[usize],
        affine: bool,
    ) -> Result<LayerParams, GraphError> {
        if !affine {
            let end = self.params.last().map_or(0, |last| last.range.end);
            return Ok(LayerParams { weight: end..end, bias: end..end });
        }
        let weight = self.param(node, "weight", shape, Init::Constant(1.0), 1)?;
        let bias = self.param(node, "bias", shape, Init::Constant(0.0), 1)?;
        Ok(LayerParams { weight, bias })
    }
}

/// The dimensions of `shape` that a trained scale or shift has, or what was expected.
fn trained_part(shape: &[usize], axes: Option<[usize; 2]>) -> Result<&[usize], String> {
    let [first, end] = axes.unwrap_or([0, shape.len()]);
    let part = shape.get(first..end).filter(|part| !part.is_empty());
    part.ok_or_else(|| format!("a value with dimensions {first} to {end}, the last left out"))
}
