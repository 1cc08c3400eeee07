//! Normalizations.

use walk_arch::{BatchNorm, GroupNorm, Init, LayerNorm, Op, Scale};

use super::translator::{At, Translator, constant_input, data, parameter};
use crate::constant::{Constant, axis};
use crate::value::{Parameter, Value};

impl<'a> Translator<'a> {
    pub(super) fn batch_norm(
        &mut self,
        at: At<'a>,
        inputs: Vec<Option<Value>>,
    ) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        if x.axis != 0 || x.outer != 1 || x.full[0] != self.batch {
            return Err("batch normalization of something that is not batch first".into());
        }
        let names = ["scale", "shift", "mean", "variance"];
        let of = ["weight", "bias", "running_mean", "running_var"];
        let parameters: Vec<Parameter> =
            (0..4).map(|place| parameter(&inputs, place + 1, names[place])).collect::<Result<_, _>>()?;
        let shape = match x.full[1..] {
            [channels] => vec![channels],
            [channels, height, width] => vec![channels, height, width],
            [channels, length] => vec![channels, length, 1],
            _ => return Err(format!("an input of shape {:?}", x.full)),
        };
        // ONNX's momentum is that of the old statistics, in f32
        let momentum = (1.0 - f64::from(at.attributes.number("momentum", 0.9))) * 1e6;
        let norm = BatchNorm {
            eps: at.attributes.number("epsilon", 1e-5),
            momentum: (momentum.round() / 1e6) as f32,
            scale_init: Init::Constant(1.0),
        };
        let node = self.layer(&x, &shape);
        let named: Vec<(&str, &Parameter)> = of.into_iter().zip(&parameters).collect();
        let node = self.push_trained(norm, vec![node], shape, &named)?;
        Ok(Self::same(&x, node))
    }

    pub(super) fn layer_norm(
        &mut self,
        at: At<'a>,
        inputs: Vec<Option<Value>>,
    ) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let rank = x.full.len();
        let first = axis(at.attributes.integer("axis", -1), rank)?;
        if first <= x.axis {
            return Err("it works along the batch".into());
        }
        let (dims, eps) = (rank - first, at.attributes.number("epsilon", 1e-5));
        let shape = x.sample(self.batch).shape;
        let node = self.layer(&x, &shape);
        let is_parameter = |place: usize| matches!(inputs.get(place), Some(Some(Value::Parameter(_))));
        let trained = is_parameter(1) && is_parameter(2);
        let scaled = is_parameter(1) && is_uniform(&inputs, 2, 0.0);
        if !trained && !scaled && !is_neutral(&inputs, 1) {
            return Err("a scale or a shift that is no initializer".into());
        }
        let norm = LayerNorm { dims, eps, affine: trained };
        let node = if scaled {
            let node =
                self.push(&format!("{}.standardized", at.node.output[0]), norm, vec![node], shape.clone());
            let axes = Some([shape.len() - dims, shape.len()]);
            let scale = Scale { init: Init::Constant(1.0), axes };
            self.push_trained(scale, vec![node], shape, &[("weight", &parameter(&inputs, 1, "scale")?)])?
        } else {
            self.norm(at, &inputs, norm, node, shape, trained)?
        };
        Ok(Self::same(&x, node))
    }

    /// Group norm, and instance norm, whose groups are the channels.
    pub(super) fn group_norm(
        &mut self,
        at: At<'a>,
        inputs: Vec<Option<Value>>,
    ) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let &[batch, channels, ..] = x.full.as_slice() else {
            return Err("an input without channels".into());
        };
        if x.axis != 0 || batch != self.batch {
            return Err("normalization of something that is not batch first".into());
        }
        let groups = if at.node.op_type == "InstanceNormalization" {
            channels
        } else {
            usize::try_from(at.attributes.integer("num_groups", 0)).unwrap_or(0)
        };
        let trained = match inputs.get(1) {
            Some(Some(Value::Parameter(scale))) if scale.dims == [channels] => true,
            _ if is_neutral(&inputs, 1) => false,
            _ => return Err(format!("a scale that is not one parameter for each of {channels} channels")),
        };
        let norm = GroupNorm { groups, eps: at.attributes.number("epsilon", 1e-5), affine: trained };
        let shape = x.full[1..].to_vec();
        let node = self.layer(&x, &shape);
        let node = self.norm(at, &inputs, norm, node, shape, trained)?;
        Ok(Self::same(&x, node))
    }

    /// A normalization with its own scale and shift, or without.
    fn norm(
        &mut self,
        at: At<'a>,
        inputs: &[Option<Value>],
        norm: impl Into<Op>,
        node: usize,
        shape: Vec<usize>,
        trained: bool,
    ) -> Result<usize, String> {
        if !trained {
            return Ok(self.push(&at.node.output[0], norm, vec![node], shape));
        }
        let [scale, shift] = [parameter(inputs, 1, "scale")?, parameter(inputs, 2, "shift")?];
        self.push_trained(norm, vec![node], shape, &[("weight", &scale), ("bias", &shift)])
    }
}

/// Whether a scale and the shift after it change nothing.
fn is_neutral(inputs: &[Option<Value>], place: usize) -> bool {
    is_uniform(inputs, place, 1.0) && is_uniform(inputs, place + 1, 0.0)
}

/// Whether all elements of an input are constants of this value, or it is left out.
fn is_uniform(inputs: &[Option<Value>], place: usize, value: f64) -> bool {
    match inputs.get(place).and_then(Option::as_ref) {
        None => true,
        Some(_) => constant_input(inputs, place).and_then(Constant::uniform) == Some(value),
    }
}
