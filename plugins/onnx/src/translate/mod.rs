//! From ONNX's operators to walk-arch's layers.

mod attention;
mod convolution;
mod elementwise;
mod linear;
mod norm;
mod shape;
mod translator;

use walk_arch::Problem;

use self::translator::{At, Translator, constant_input, described, shape_of};
use crate::attributes::Attributes;
use crate::constant::{Constant, MAX, fold};
use crate::file::OnnxFile;
use crate::proto::Node as OnnxNode;
use crate::value::Value;

pub(crate) use self::translator::{Stored, Translation};

/// The network of a file for a problem, or all that cannot be translated.
pub(crate) fn translate(file: &OnnxFile, problem: &Problem) -> Result<Translation, String> {
    let mut translator = Translator::new(file, problem)?;
    let needed = translator.needed()?;
    for (index, node) in file.graph.node.iter().enumerate().filter(|(index, _)| needed.contains(index)) {
        translator.node(index, node);
    }
    translator.finish(problem)
}

impl<'a> Translator<'a> {
    /// Translates a node; what cannot be translated is noted.
    fn node(&mut self, index: usize, node: &'a OnnxNode) {
        if self.taken.contains(&index) {
            return;
        }
        let at = At { node, attributes: Attributes { node, file: self.file } };
        let outputs = if self.inputs(at).iter().flatten().any(|value| matches!(value, Value::Unknown)) {
            // the cause is noted already
            Ok(vec![Value::Unknown])
        } else {
            self.values_of(at)
        };
        let outputs = outputs.unwrap_or_else(|problem| {
            self.problems.push(format!("{}: {problem}", described(node)));
            vec![]
        });
        for (place, name) in node.output.iter().enumerate() {
            // a value that was taken into a layer has been set
            if !self.values.contains_key(name.as_str()) || !outputs.is_empty() {
                self.values.insert(name, outputs.get(place).cloned().unwrap_or(Value::Unknown));
            }
        }
    }

    fn values_of(&mut self, at: At<'a>) -> Result<Vec<Value>, String> {
        let op = at.node.op_type.as_str();
        if !["", "ai.onnx"].contains(&at.node.domain.as_str()) {
            return Err(format!("operators of `{}` are not known", at.node.domain));
        }
        let inputs = self.inputs(at);
        if op == "Constant" {
            return constant(at.attributes).map(|constant| vec![Value::Constant(constant)]);
        }
        if op == "Shape" {
            let shape = inputs
                .first()
                .and_then(Option::as_ref)
                .and_then(shape_of)
                .ok_or("an input without a shape")?;
            let (start, end) = (at.attributes.integer("start", 0), at.attributes.integer("end", i64::MAX));
            let (start, length) = crate::constant::window(start, end, shape.len());
            let dims = shape[start..start + length].iter().map(|&dim| dim as i64);
            return Ok(vec![Value::Constant(Constant::list(dims))]);
        }
        let constants: Vec<Option<&Constant>> = inputs
            .iter()
            .map(|value| match value {
                Some(Value::Constant(constant)) => Some(constant),
                _ => None,
            })
            .collect();
        let is_like = op == "CastLike";
        if (is_like && constants.first().is_some_and(Option::is_some))
            || (!constants.is_empty() && constants.iter().all(Option::is_some))
        {
            return match fold(op, &at.attributes, &constants) {
                Some(Ok(constant)) if constant.values.len() > MAX => {
                    Err("a constant that is too long".into())
                }
                Some(folded) => folded.map(|constant| vec![Value::Constant(constant)]),
                None => Err("this operator is not known for constants".into()),
            };
        }
        self.layers(at, inputs)
    }

    /// The layers of an operator whose inputs are not all constants.
    fn layers(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let op = at.node.op_type.as_str();
        match op {
            "Conv" => self.conv(at, inputs),
            "MaxPool" | "AveragePool" => self.pool(at, inputs),
            "GlobalAveragePool" => self.global_pool(inputs),
            "Gemm" => self.gemm(at, inputs),
            "MatMul" => self.matmul(at, inputs),
            "Attention" => self.attention(at, inputs),
            "BatchNormalization" => self.batch_norm(at, inputs),
            "LayerNormalization" => self.layer_norm(at, inputs),
            "GroupNormalization" | "InstanceNormalization" => self.group_norm(at, inputs),
            "Add" | "Sub" | "Mul" | "Div" | "Neg" | "Pow" => self.arithmetic(at, inputs),
            "Relu" | "LeakyRelu" | "Elu" | "Gelu" | "Swish" | "Tanh" | "Sigmoid" | "HardSwish"
            | "HardSigmoid" | "Clip" | "Erf" => self.activation(at, inputs),
            "Softmax" => self.softmax(at, inputs),
            "Dropout" => self.dropout(at, inputs),
            "Identity" | "Cast" | "CastLike" => {
                Ok(vec![inputs.into_iter().next().flatten().ok_or("no input")?])
            }
            "Concat" => self.concatenation(at, inputs),
            "Split" => self.split(at, inputs),
            "SplitToSequence" => self.split(at, inputs).map(|parts| vec![Value::Sequence(parts)]),
            "SequenceAt" => sequence_at(&inputs),
            "Slice" => self.slice(at, inputs),
            "Gather" => self.gather(at, inputs),
            "Pad" => self.pad(at, inputs),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Expand" => self.reshape(at, inputs),
            "Transpose" => self.transpose(at, inputs),
            "ReduceMean" => self.reduce_mean(at, inputs),
            _ => Err("this operator is not known".into()),
        }
    }
}

/// The constant of a Constant node.
fn constant(attributes: Attributes<'_>) -> Result<Constant, String> {
    if let Some(constant) = Constant::of_attribute(&attributes, "value") {
        return Ok(constant);
    }
    if let Some(value) = attributes.find("value_int") {
        return Ok(Constant::scalar(value.i as f64, true));
    }
    if let Some(value) = attributes.find("value_float") {
        return Ok(Constant::scalar(value.f.into(), false));
    }
    if let Some(values) = attributes.integers("value_ints") {
        return Ok(Constant::list(values.iter().copied()));
    }
    if let Some(value) = attributes.find("value_floats") {
        let values: Vec<f64> = value.floats.iter().map(|&x| x.into()).collect();
        return Ok(Constant { dims: vec![values.len()], values, integer: false });
    }
    Err("its value is of a kind that is not read".into())
}

/// A value of a sequence.
fn sequence_at(inputs: &[Option<Value>]) -> Result<Vec<Value>, String> {
    let Some(Some(Value::Sequence(parts))) = inputs.first() else { return Err("no sequence".into()) };
    let place = constant_input(inputs, 1).and_then(Constant::single).ok_or("its place is no constant")?;
    Ok(vec![parts[crate::constant::axis(place as i64, parts.len())?].clone()])
}
