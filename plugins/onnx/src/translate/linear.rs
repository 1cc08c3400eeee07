//! Matrix products: with a parameter a linear layer, of two values a product.

use walk_arch::{Init, Linear, Op};

use super::translator::{At, Translator, data, parameter};
use crate::value::{Data, Parameter, Value};

impl<'a> Translator<'a> {
    pub(super) fn gemm(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let is_one = |name: &str| (at.attributes.number(name, 1.0) - 1.0).abs() < 1e-12;
        if at.attributes.integer("transA", 0) != 0 || !is_one("alpha") || !is_one("beta") {
            return Err("a product with `transA`, `alpha` or `beta`".into());
        }
        let mut weight = parameter(&inputs, 1, "weight")?;
        if at.attributes.integer("transB", 0) == 0 {
            weight = turned(weight)?;
        }
        let bias = match inputs.get(2).and_then(Option::as_ref) {
            None => None,
            Some(_) => Some(parameter(&inputs, 2, "bias")?),
        };
        self.linear(&data(&inputs, 0)?, &weight, bias.as_ref())
    }

    pub(super) fn matmul(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        if let Some(Some(Value::Parameter(weight))) = inputs.get(1) {
            let (x, weight) = (data(&inputs, 0)?, turned(weight.clone())?);
            // the sum that follows may add the bias
            let reader = self.only_reader(&at.node.output[0]);
            let sum = reader
                .map(|index| (index, &self.file.graph.node[index]))
                .filter(|(_, node)| node.op_type == "Add");
            let bias = sum.and_then(|(index, node)| {
                let other = node.input.iter().find(|name| **name != at.node.output[0])?;
                match self.values.get(other.as_str()) {
                    Some(Value::Parameter(bias)) if bias.dims == [weight.dims[0]] => {
                        Some((index, node, bias.clone()))
                    }
                    _ => None,
                }
            });
            let Some((index, node, bias)) = bias else { return self.linear(&x, &weight, None) };
            let outputs = self.linear(&x, &weight, Some(&bias))?;
            self.taken.insert(index);
            self.values.insert(&node.output[0], outputs[0].clone());
            return Ok(outputs);
        }
        self.matrix_product(&data(&inputs, 0)?, &data(&inputs, 1)?)
    }

    /// A linear layer along the last dimension; the weight is `[out, in]`.
    fn linear(
        &mut self,
        x: &Data,
        weight: &Parameter,
        bias: Option<&Parameter>,
    ) -> Result<Vec<Value>, String> {
        let &[out_features, in_features] = weight.dims.as_slice() else {
            return Err(format!("a weight of shape {:?}, expected a matrix", weight.dims));
        };
        let sample = x.sample(self.batch).shape;
        let last = x.full.len() - 1;
        if x.axis == last || x.full[last] != in_features {
            return Err(format!("a weight of shape {:?} for an input of shape {:?}", weight.dims, x.full));
        }
        let lead: usize = sample[..sample.len() - 1].iter().product();
        let [shape, out] = [in_features, out_features]
            .map(|features| if lead == 1 { vec![features] } else { vec![lead, features] });
        let node = self.layer(x, &shape);
        let layer =
            Linear { out_features, bias: bias.is_some(), weight_init: Init::FanIn, bias_init: Init::FanIn };
        let parameters: Vec<_> =
            [("weight", weight)].into_iter().chain(bias.map(|bias| ("bias", bias))).collect();
        let node = self.push_trained(layer, vec![node], out, &parameters)?;
        let mut full = x.full.clone();
        full[last] = out_features;
        Ok(Self::same(&Data { full, ..x.clone() }, node))
    }

    /// The product of two values over their last two dimensions.
    pub(super) fn matrix_product(&mut self, a: &Data, b: &Data) -> Result<Vec<Value>, String> {
        let rank = a.full.len();
        let wrong = || format!("a product of values of shapes {:?} and {:?}", a.full, b.full);
        if rank < 3 || b.full.len() != rank || a.axis != b.axis || a.axis >= rank - 2 || a.outer != b.outer {
            return Err(wrong());
        }
        let same_lead = a.full[..rank - 2] == b.full[..rank - 2];
        if !same_lead || a.full[rank - 1] != b.full[rank - 2] {
            return Err(wrong());
        }
        let mut scale = 1.0;
        let mut operand = |data: &Data| {
            // a factor of an operand is one of the product
            if data.shift == 0.0 {
                scale *= data.scale;
                Data { scale: 1.0, ..data.clone() }
            } else {
                data.clone()
            }
        };
        let (a, b) = (operand(a), operand(b));
        let [shape_a, shape_b] = [&a, &b].map(|data| data.sample(self.batch).shape);
        let columns = shape_b[shape_b.len() - 1];
        let mut shape = shape_a.clone();
        *shape.last_mut().expect("a product has two dimensions") = columns;
        let (left, transposed, right) =
            (self.layer(&a, &shape_a), self.transposed(&b, &shape_b), self.layer(&b, &shape_b));
        let matmul = walk_arch::matmul().scale(scale as f32);
        let name = format!("{}.product", self.nodes[left].name);
        let node = match transposed {
            Some(turned) => self.push(&name, matmul.transposed(), vec![left, turned], shape),
            None => self.push(&name, matmul, vec![left, right], shape),
        };
        let mut full = a.full.clone();
        full[rank - 1] = b.full[rank - 1];
        Ok(Self::same(&Data { full, ..a }, node))
    }

    /// The layer before a value whose last two dimensions were just exchanged, as in QKᵀ.
    fn transposed(&self, data: &Data, shape: &[usize]) -> Option<usize> {
        let mut node = data.node;
        if self.shapes[node] != shape || !data.is_plain() {
            return None;
        }
        if let Op::Reshape(_) = self.nodes[node].op {
            node = self.nodes[node].inputs[0];
        }
        let Op::Permute(permute) = &self.nodes[node].op else { return None };
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order.swap(shape.len() - 2, shape.len() - 1);
        (permute.order == order).then(|| self.nodes[node].inputs[0])
    }
}

/// A matrix parameter transposed.
pub(super) fn turned(parameter: Parameter) -> Result<Parameter, String> {
    match parameter.dims.as_slice() {
        &[rows, columns] => {
            Ok(Parameter { dims: vec![columns, rows], transposed: !parameter.transposed, ..parameter })
        }
        dims => Err(format!("the parameter `{}` of shape {dims:?}, expected a matrix", parameter.name)),
    }
}
