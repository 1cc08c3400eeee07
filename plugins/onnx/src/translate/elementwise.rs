//! Sums, products and nonlinearities, element by element.

use walk_arch::{Activation, Bias, Dropout, Init, Op, Scale};

use super::translator::{At, Translator, constant_input, data};
use crate::value::{Data, ErfTerm, Parameter, Value};

/// Relative difference up to which a constant is the one of a formula, rounded to f32.
const ROUNDING: f64 = 1e-6;

fn is_near(x: f64, expected: f64) -> bool {
    (x - expected).abs() <= ROUNDING * expected.abs()
}

/// The number that a constant combines with each element of `other`.
fn number(value: &Value, other: &Value) -> Option<f64> {
    match (value, other) {
        (Value::Constant(constant), Value::Data(data)) if !spreads_over(&constant.dims, &data.full) => None,
        (Value::Constant(constant), _) => constant.uniform(),
        _ => None,
    }
}

/// Whether an array of shape `small` is repeated over one of shape `large` and does not repeat it in turn.
fn spreads_over(small: &[usize], large: &[usize]) -> bool {
    small.len() <= large.len()
        && small.iter().rev().zip(large.iter().rev()).all(|(&small, &large)| small == 1 || small == large)
}

impl<'a> Translator<'a> {
    pub(super) fn arithmetic(
        &mut self,
        at: At<'a>,
        inputs: Vec<Option<Value>>,
    ) -> Result<Vec<Value>, String> {
        let op = at.node.op_type.as_str();
        let first = inputs.first().cloned().flatten().ok_or("no input")?;
        if op == "Neg" {
            return Ok(vec![affine(first, -1.0, 0.0)?]);
        }
        let second = inputs.get(1).cloned().flatten().ok_or("no second input")?;
        let result = match (op, number(&first, &second), number(&second, &first)) {
            ("Add", Some(shift), _) => affine(second, 1.0, shift),
            ("Add", _, Some(shift)) => affine(first, 1.0, shift),
            ("Sub", Some(shift), _) => affine(second, -1.0, shift),
            ("Sub", _, Some(shift)) => affine(first, 1.0, -shift),
            ("Mul", Some(scale), _) => affine(second, scale, 0.0),
            ("Mul", _, Some(scale)) => affine(first, scale, 0.0),
            ("Div", None, Some(divisor)) if divisor != 0.0 => affine(first, 1.0 / divisor, 0.0),
            ("Pow", None, Some(power)) => return self.power(&data(&inputs, 0)?, power),
            ("Add", ..) => return self.sum(first, second),
            ("Sub", ..) => return self.sum(first, affine(second, -1.0, 0.0)?),
            ("Mul", ..) => return self.times(first, second),
            _ => Err(format!("{op} of two values")),
        };
        Ok(vec![result?])
    }

    /// x, x² or x³
    fn power(&mut self, x: &Data, power: f64) -> Result<Vec<Value>, String> {
        let times = [1.0, 2.0, 3.0].iter().position(|&known| is_near(power, known));
        let times = times.ok_or_else(|| format!("a power of {power}, expected 1, 2 or 3"))?;
        let mut result = vec![Value::Data(x.clone())];
        for _ in 0..times {
            result = self.times(result.remove(0), Value::Data(x.clone()))?;
        }
        Ok(result)
    }

    fn sum(&mut self, a: Value, b: Value) -> Result<Vec<Value>, String> {
        match (a, b) {
            (Value::Data(a), Value::Data(b)) => self.joined(Op::Add, &a, &b),
            (Value::Data(x), Value::Parameter(p)) | (Value::Parameter(p), Value::Data(x)) => {
                let init = Init::Constant(0.0);
                self.trained(&x, &p, "bias", |axes| Bias { init, axes: Some(axes) }.into())
            }
            _ => Err("a sum of these kinds of values".into()),
        }
    }

    fn times(&mut self, a: Value, b: Value) -> Result<Vec<Value>, String> {
        match (a, b) {
            (Value::Data(a), Value::Data(b)) => {
                if let Some(silu) = self.silu(&a, &b).or_else(|| self.silu(&b, &a)) {
                    return Ok(silu);
                }
                self.joined(Op::Mul, &a, &b)
            }
            (Value::Data(x), Value::Parameter(p)) | (Value::Parameter(p), Value::Data(x)) => {
                let init = Init::Constant(1.0);
                self.trained(&x, &p, "weight", |axes| Scale { init, axes: Some(axes) }.into())
            }
            (Value::Data(x), Value::Erf(term)) | (Value::Erf(term), Value::Data(x)) => self.gelu(&x, &term),
            _ => Err("a product of these kinds of values".into()),
        }
    }

    /// Two values of the same shape.
    fn joined(&mut self, op: Op, a: &Data, b: &Data) -> Result<Vec<Value>, String> {
        if a.full != b.full || a.axis != b.axis || a.outer != b.outer {
            let op = op.name();
            return Err(format!(
                "{op} of values of shapes {:?} and {:?}, expected equal ones",
                a.full, b.full
            ));
        }
        let left = self.plain(a);
        let shape = self.shapes[left].clone();
        let right = self.layer(b, &shape);
        let name = format!("{}.{}", self.nodes[left].name, op.name());
        let node = self.push(&name, op, vec![left, right], shape);
        Ok(Self::same(a, node))
    }

    /// A parameter times or plus a value, along some of its dimensions.
    fn trained(
        &mut self,
        x: &Data,
        parameter: &Parameter,
        of: &str,
        op: impl Fn([usize; 2]) -> Op,
    ) -> Result<Vec<Value>, String> {
        let wrong = || {
            format!(
                "the parameter `{}` of shape {:?} with a value of shape {:?}",
                parameter.name, parameter.dims, x.full
            )
        };
        if parameter.transposed || parameter.dims.len() > x.full.len() {
            return Err(wrong());
        }
        let offset = x.full.len() - parameter.dims.len();
        let own: Vec<usize> = (0..parameter.dims.len())
            .filter(|&place| parameter.dims[place] != 1)
            .map(|place| place + offset)
            .collect();
        let sample = x.sample(self.batch);
        if own.is_empty() {
            // one number for all elements
            let shape = [&[1], sample.shape.as_slice()].concat();
            let node = self.layer(x, &shape);
            let node = self.push_trained(op([0, 1]), vec![node], shape, &[(of, parameter)])?;
            return Ok(Self::same(x, node));
        }
        let [first, last] = [own[0], own[own.len() - 1]];
        let is_block =
            own.len() == last - first + 1 || (first..=last).all(|at| x.full[at] == 1 || own.contains(&at));
        if !is_block || own.iter().any(|&at| at == x.axis || x.full[at] != parameter.dims[at - offset]) {
            return Err(wrong());
        }
        let axes = [sample.place(first), sample.place(last) + 1];
        let node = self.layer(x, &sample.shape);
        let node = self.push_trained(op(axes), vec![node], sample.shape, &[(of, parameter)])?;
        Ok(Self::same(x, node))
    }

    /// x σ(x), if `gate` is σ(x).
    fn silu(&mut self, x: &Data, gate: &Data) -> Option<Vec<Value>> {
        let node = &self.nodes[gate.node];
        let is_gate =
            node.op == Op::Activation(Activation::Sigmoid) && node.inputs == [x.node] && gate.is_plain();
        (is_gate && x.is_plain() && x.full == gate.full).then(|| self.activated(x, Activation::Silu))
    }

    /// x (1 + erf(x / √2)) / 2, if the term is that of x.
    fn gelu(&mut self, x: &Data, term: &ErfTerm) -> Result<Vec<Value>, String> {
        let inner = &term.x;
        let factor = x.scale / inner.scale;
        if x.node != inner.node
            || x.full != inner.full
            || x.shift != 0.0
            || inner.shift != 0.0
            || !is_near(term.scale, term.shift)
        {
            return Err("erf is known as a part of GELU alone".into());
        }
        let gelu = self.activated(inner, Activation::Gelu);
        let Some(Value::Data(gelu)) = gelu.into_iter().next() else { return Err("no value".into()) };
        Ok(vec![Value::Data(Data { scale: rounded(2.0 * term.scale * factor), ..gelu })])
    }

    /// A nonlinearity of a value.
    fn activated(&mut self, x: &Data, activation: Activation) -> Vec<Value> {
        let node = self.plain(x);
        let shape = self.shapes[node].clone();
        let name = format!("{}.{}", self.nodes[node].name, activation.name());
        let node = self.push(&name, activation, vec![node], shape);
        Self::same(x, node)
    }

    /// A nonlinearity, and its value for what follows.
    fn applied(&mut self, x: &Data, activation: Activation) -> Result<Data, String> {
        data(&[self.activated(x, activation).into_iter().next()], 0)
    }

    pub(super) fn activation(
        &mut self,
        at: At<'a>,
        inputs: Vec<Option<Value>>,
    ) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let number = |name: &str, default: f32| f64::from(at.attributes.number(name, default));
        let known = match at.node.op_type.as_str() {
            "Relu" => Activation::Relu,
            "Tanh" => Activation::Tanh,
            "Sigmoid" => Activation::Sigmoid,
            "HardSwish" => Activation::HardSwish,
            "Swish" if is_near(number("alpha", 1.0), 1.0) => Activation::Silu,
            "Elu" if is_near(number("alpha", 1.0), 1.0) => Activation::Elu,
            "LeakyRelu" if is_near(number("alpha", 0.01), f64::from(Activation::LEAKY_SLOPE)) => {
                Activation::LeakyRelu
            }
            "Gelu" if at.attributes.text("approximate").is_none_or(|kind| kind == b"none") => {
                Activation::Gelu
            }
            "Gelu" => return self.tanh_gelu(&x),
            "Elu" => {
                // x for x > 0, α (e^x - 1) elsewhere
                let (above, below) = self.parts(&x)?;
                let below = self.applied(&below, Activation::Elu)?;
                return self.joined(Op::Add, &above, &scaled(&below, number("alpha", 1.0), 0.0));
            }
            "LeakyRelu" => {
                let (above, below) = self.parts(&x)?;
                return self.joined(Op::Add, &above, &scaled(&below, number("alpha", 0.01), 0.0));
            }
            "HardSigmoid" => {
                // min(max(0, α x + β), 1)
                let x = scaled(&x, 6.0 * number("alpha", 0.2), 6.0 * number("beta", 0.5));
                return Ok(vec![Value::Data(scaled(&self.applied(&x, Activation::Relu6)?, 1.0 / 6.0, 0.0))]);
            }
            "Clip" => return self.clip(&x, &inputs),
            "Erf" => {
                let inner = scaled(&x, std::f64::consts::SQRT_2, 0.0);
                return Ok(vec![Value::Erf(ErfTerm {
                    x: Data { scale: rounded(inner.scale), ..inner },
                    scale: 1.0,
                    shift: 0.0,
                })]);
            }
            _ => return Err("this operator, or its attributes, are not known".into()),
        };
        Ok(self.activated(&x, known))
    }

    /// max(0, x) and min(0, x).
    fn parts(&mut self, x: &Data) -> Result<(Data, Data), String> {
        let above = self.applied(x, Activation::Relu)?;
        let below = self.applied(&scaled(x, -1.0, 0.0), Activation::Relu)?;
        Ok((above, scaled(&below, -1.0, 0.0)))
    }

    /// x (1 + tanh(√(2/π) (x + .044715 x³))) / 2
    fn tanh_gelu(&mut self, x: &Data) -> Result<Vec<Value>, String> {
        let cube = self.power(x, 3.0)?;
        let cube = scaled(&data(&[cube.into_iter().next()], 0)?, 0.044_715, 0.0);
        let inner = self.joined(Op::Add, x, &cube)?;
        let inner = scaled(&data(&[inner.into_iter().next()], 0)?, (2.0 / std::f64::consts::PI).sqrt(), 0.0);
        let gate = scaled(&self.applied(&inner, Activation::Tanh)?, 0.5, 0.5);
        self.joined(Op::Mul, x, &gate)
    }

    fn clip(&mut self, x: &Data, inputs: &[Option<Value>]) -> Result<Vec<Value>, String> {
        let bound = |place: usize, default: f64| match inputs.get(place).and_then(Option::as_ref) {
            None => Ok(default),
            Some(_) => constant_input(inputs, place)
                .and_then(|bound| bound.single())
                .ok_or("its bounds are no constants"),
        };
        let (low, high) = (bound(1, f64::NEG_INFINITY)?, bound(2, f64::INFINITY)?);
        if low > f64::from(f32::MIN) && high >= f64::from(f32::MAX) {
            return Ok(vec![Value::Data(scaled(
                &self.applied(&scaled(x, 1.0, -low), Activation::Relu)?,
                1.0,
                low,
            ))]);
        }
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(format!("bounds {low} and {high}"));
        }
        let factor = 6.0 / (high - low);
        let inside = self.applied(&scaled(x, factor, -low * factor), Activation::Relu6)?;
        Ok(vec![Value::Data(scaled(&inside, 1.0 / factor, low))])
    }

    pub(super) fn dropout(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let given = constant_input(&inputs, 1).and_then(|ratio| ratio.single());
        let p = given.unwrap_or_else(|| at.attributes.number("ratio", 0.5).into());
        if p == 0.0 {
            return Ok(vec![Value::Data(x)]);
        }
        let node = self.plain(&x);
        let shape = self.shapes[node].clone();
        let node = self.push(&at.node.output[0], Op::Dropout(Dropout { p: p as f32 }), vec![node], shape);
        Ok(Self::same(&x, node))
    }
}

/// scale · x + shift of a value or of a part of GELU's formula.
fn affine(value: Value, scale: f64, shift: f64) -> Result<Value, String> {
    match value {
        Value::Data(x) => Ok(Value::Data(scaled(&x, scale, shift))),
        Value::Erf(term) => {
            Ok(Value::Erf(ErfTerm { scale: term.scale * scale, shift: term.shift * scale + shift, ..term }))
        }
        _ => Err("a constant with these kinds of values".into()),
    }
}

fn scaled(x: &Data, scale: f64, shift: f64) -> Data {
    Data { scale: x.scale * scale, shift: x.shift * scale + shift, ..x.clone() }
}

/// A factor that is 1 but for the rounding of constants to f32, as 1.
fn rounded(factor: f64) -> f64 {
    if is_near(factor, 1.0) { 1.0 } else { factor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_a_number_only_if_it_does_not_enlarge_the_value() {
        assert!(spreads_over(&[], &[2, 3]) && spreads_over(&[1, 3], &[2, 3]) && spreads_over(&[3], &[2, 3]));
        assert!(!spreads_over(&[4, 1], &[1, 3]) && !spreads_over(&[1, 1, 1], &[2, 3]));
    }
}
