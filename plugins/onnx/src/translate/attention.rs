//! Softmax, and attention as one operator (opset 23 and later).

use walk_arch::{permute, softmax};

use super::translator::{At, Translator, data};
use crate::constant::axis;
use crate::value::{Data, Value};

impl<'a> Translator<'a> {
    pub(super) fn softmax(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let last = x.full.len() - 1;
        if axis(at.attributes.integer("axis", -1), last + 1)? != last || x.axis == last {
            return Err("softmax along another dimension than the last".into());
        }
        Ok(self.softmax_of(&x))
    }

    fn softmax_of(&mut self, x: &Data) -> Vec<Value> {
        let shape = x.sample(self.batch).shape;
        let node = self.layer(x, &shape);
        let name = format!("{}.softmax", self.nodes[node].name);
        let node = self.push(&name, softmax(), vec![node], shape);
        Self::same(x, node)
    }

    /// softmax(s Q Kᵀ) V for `[batch, heads, tokens, features]`.
    pub(super) fn attention(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let [q, k, v] = [data(&inputs, 0)?, data(&inputs, 1)?, data(&inputs, 2)?];
        let plain =
            ["is_causal", "qk_matmul_output_mode"].iter().all(|name| at.attributes.integer(name, 0) == 0)
                && at.attributes.number("softcap", 0.0) == 0.0;
        if !plain || inputs.len() > 3 && inputs[3..].iter().any(Option::is_some) {
            return Err("attention with a mask, a cache or a soft cap".into());
        }
        if [&q, &k, &v].iter().any(|part| part.full.len() != 4) {
            return Err("attention on other shapes than [batch, heads, tokens, features]".into());
        }
        let features = q.full[3];
        let default = 1.0 / (features as f32).sqrt();
        let scale = f64::from(at.attributes.number("scale", default));
        let shape = k.sample(self.batch).shape;
        let rank = shape.len();
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        let node = self.layer(&k, &shape);
        let turned: Vec<usize> = order.iter().map(|&place| shape[place]).collect();
        let node =
            self.push(&format!("{}.transposed", at.node.output[0]), permute(&order), vec![node], turned);
        let mut full = k.full.clone();
        full.swap(2, 3);
        let keys = Data { node, full, scale: 1.0, shift: 0.0, ..k };
        let scores =
            self.matrix_product(&Data { scale: q.scale * scale, shift: q.shift * scale, ..q }, &keys)?;
        let scores = data(&[scores.into_iter().next()], 0)?;
        let weights = self.softmax_of(&scores);
        let weights = data(&[weights.into_iter().next()], 0)?;
        self.matrix_product(&weights, &v)
    }
}
