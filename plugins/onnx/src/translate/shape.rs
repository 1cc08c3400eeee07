//! Operators that move elements.

use walk_arch::{Op, crop, global_avg_pool, permute};

use super::translator::{At, Translator, constant_input, data};
use crate::constant::{Constant, axis, reshaped, squeezed, unsqueezed, window};
use crate::value::{Data, Parameter, Value};

impl<'a> Translator<'a> {
    /// Flatten, Reshape, Squeeze, Unsqueeze and Expand: the order of the elements stays.
    pub(super) fn reshape(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let value = inputs.first().and_then(Option::as_ref).ok_or("no input")?;
        let from = super::translator::shape_of(value).ok_or("no input")?;
        let list = |name: &str| {
            let given = constant_input(&inputs, 1).map(Constant::integers);
            given.or_else(|| at.attributes.integers(name).map(<[i64]>::to_vec))
        };
        let to = match at.node.op_type.as_str() {
            "Flatten" => {
                let at = at.attributes.integer("axis", 1);
                let split = if at == from.len() as i64 { from.len() } else { axis(at, from.len())? };
                vec![from[..split].iter().product(), from[split..].iter().product()]
            }
            "Reshape" => {
                let to = list("shape").ok_or("its shape is no constant")?;
                reshaped(&from, &to, at.attributes.integer("allowzero", 0) != 0)?
            }
            "Squeeze" => squeezed(&from, list("axes").as_deref())?,
            "Unsqueeze" => unsqueezed(&from, &list("axes").ok_or("its axes are no constants")?)?,
            _ => expanded(&from, &list("shape").ok_or("its shape is no constant")?)?,
        };
        match value {
            Value::Data(x) if at.node.op_type == "Expand" && to != from => {
                Err(format!("a value of shape {:?} expanded to {to:?}", x.full))
            }
            Value::Data(x) => Ok(vec![Value::Data(x.reshaped(to, self.batch)?)]),
            Value::Parameter(parameter) if at.node.op_type == "Expand" && to.contains(&self.batch) => {
                let mut rest = to.iter().filter(|&&dim| dim != self.batch);
                let rest = rest.try_fold(1usize, |rest, &dim| rest.checked_mul(dim));
                if rest != Some(parameter.dims.iter().product()) {
                    return Err(format!("the parameter `{}` expanded to {to:?}", parameter.name));
                }
                Ok(vec![Value::Data(self.parameter_value(parameter, to)?)])
            }
            Value::Parameter(parameter) if !parameter.transposed => {
                Ok(vec![Value::Parameter(Parameter { dims: to, ..parameter.clone() })])
            }
            _ => Err("this kind of value in another shape".into()),
        }
    }

    pub(super) fn transpose(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let value = inputs.first().and_then(Option::as_ref).ok_or("no input")?;
        let rank = super::translator::shape_of(value).ok_or("no input")?.len();
        let order = match at.attributes.integers("perm") {
            Some(order) => order.iter().map(|&at| axis(at, rank)).collect::<Result<Vec<usize>, String>>()?,
            None => (0..rank).rev().collect(),
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<usize>>() {
            return Err(format!("`perm` = {order:?}"));
        }
        match value {
            Value::Parameter(parameter) if order == [1, 0] => {
                Ok(vec![Value::Parameter(super::linear::turned(parameter.clone())?)])
            }
            _ => self.permuted(&data(&inputs, 0)?, &order).map(|data| vec![Value::Data(data)]),
        }
    }

    fn permuted(&mut self, x: &Data, order: &[usize]) -> Result<Data, String> {
        let sample = x.sample(self.batch);
        let full: Vec<usize> = order.iter().map(|&at| x.full[at]).collect();
        let to = order.iter().position(|&at| at == x.axis).ok_or("the batch is lost")?;
        // of a sample; the batch alone is no dimension of it
        let is_own = |at: &&usize| sample.shape.len() == x.full.len() || **at != x.axis;
        let own: Vec<usize> = order.iter().filter(is_own).map(|&at| sample.place(at)).collect();
        // dimensions of 1 change nothing
        let long: Vec<usize> = own.iter().copied().filter(|&at| sample.shape[at] != 1).collect();
        let moved = Data { full, axis: to, ..x.clone() };
        if long.is_sorted() {
            return Ok(moved);
        }
        let node = self.layer(x, &sample.shape);
        let shape: Vec<usize> = own.iter().map(|&at| sample.shape[at]).collect();
        let name = format!("{}.permute", self.nodes[node].name);
        let node = self.push(&name, permute(&own), vec![node], shape);
        Ok(Data { node, scale: 1.0, shift: 0.0, ..moved })
    }

    pub(super) fn concatenation(
        &mut self,
        at: At<'a>,
        inputs: Vec<Option<Value>>,
    ) -> Result<Vec<Value>, String> {
        let mut parts = (0..inputs.len())
            .map(|place| data(&inputs, place))
            .collect::<Result<Vec<Data>, String>>()?
            .into_iter();
        let mut joined = parts.next().ok_or("no input")?;
        let along = axis(at.attributes.integer("axis", 0), joined.full.len())?;
        for part in parts {
            let place = joined.place(along, self.batch)?;
            let fits = part.full.len() == joined.full.len()
                && part.axis == joined.axis
                && part.outer == joined.outer;
            if !fits || (0..part.full.len()).any(|at| at != along && part.full[at] != joined.full[at]) {
                return Err(format!("values of shapes {:?} and {:?}", joined.full, part.full));
            }
            let [left, right] = [&joined, &part].map(|data| data.sample(self.batch).shape);
            let nodes = vec![self.layer(&joined, &left), self.layer(&part, &right)];
            let mut shape = left;
            shape[place] += right[place];
            let node =
                self.push(&at.node.output[0], Op::Concat(walk_arch::Concat { axis: place }), nodes, shape);
            let mut full = joined.full.clone();
            full[along] += part.full[along];
            joined = Data { node, full, scale: 1.0, shift: 0.0, ..joined };
        }
        Ok(vec![Value::Data(joined)])
    }

    /// Some consecutive places along a dimension.
    fn part(
        &mut self,
        name: &str,
        x: &Data,
        along: usize,
        start: usize,
        length: usize,
    ) -> Result<Data, String> {
        if start == 0 && length == x.full[along] {
            return Ok(x.clone());
        }
        if length == 0 || start.checked_add(length).is_none_or(|end| end > x.full[along]) {
            return Err(format!("{length} places from {start} of a dimension of {}", x.full[along]));
        }
        let (place, sample) = (x.place(along, self.batch)?, x.sample(self.batch).shape);
        let node = self.layer(x, &sample);
        let (mut first, mut shape, mut full) = (vec![0; sample.len()], sample, x.full.clone());
        first[place] = start as i64;
        (shape[place], full[along]) = (length, length);
        let node = self.push(name, crop(&first, &shape), vec![node], shape);
        Ok(Data { node, full, scale: 1.0, shift: 0.0, ..x.clone() })
    }

    pub(super) fn split(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let along = axis(at.attributes.integer("axis", 0), x.full.len())?;
        let is_sequence = at.node.op_type == "SplitToSequence";
        if is_sequence && at.attributes.integer("keepdims", 1) == 0 {
            return Err("a split without `keepdims`".into());
        }
        let lengths: Vec<usize> = match constant_input(&inputs, 1) {
            // one length for all parts
            Some(length) if is_sequence && length.dims.is_empty() => {
                let length = length.single().map_or(0, |length| length as usize).max(1);
                let whole = x.full[along];
                (0..whole.div_ceil(length)).map(|part| length.min(whole - part * length)).collect()
            }
            None if is_sequence => return Err("a split into single places".into()),
            Some(lengths) => {
                lengths.integers().into_iter().map(|length| usize::try_from(length).unwrap_or(0)).collect()
            }
            None => {
                let parts = at.node.output.len();
                let length = x.full[along].div_ceil(parts);
                (0..parts).map(|part| length.min(x.full[along].saturating_sub(part * length))).collect()
            }
        };
        let mut start = 0;
        let mut outputs = vec![];
        for (part, length) in lengths.into_iter().enumerate() {
            let name = at.node.output.get(part).unwrap_or(&at.node.output[0]);
            outputs.push(Value::Data(self.part(name, &x, along, start, length)?));
            start = start.saturating_add(length);
        }
        Ok(outputs)
    }

    pub(super) fn slice(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let mut x = data(&inputs, 0)?;
        let list = |place: usize| constant_input(&inputs, place).map(Constant::integers);
        let (starts, ends) = list(1).zip(list(2)).ok_or("its bounds are no constants")?;
        let axes = list(3).unwrap_or_else(|| (0..starts.len() as i64).collect());
        if list(4).is_some_and(|steps| steps.iter().any(|&step| step != 1)) {
            return Err("slices with another step than 1".into());
        }
        for ((start, end), along) in starts.into_iter().zip(ends).zip(axes) {
            let along = axis(along, x.full.len())?;
            let (start, length) = window(start, end, x.full[along]);
            x = self.part(&at.node.output[0], &x, along, start, length)?;
        }
        Ok(vec![Value::Data(x)])
    }

    /// One place along a dimension.
    pub(super) fn gather(&mut self, at: At<'a>, inputs: Vec<Option<Value>>) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let along = axis(at.attributes.integer("axis", 0), x.full.len())?;
        let places = constant_input(&inputs, 1).ok_or("its places are no constants")?;
        let place = places.single().ok_or("several places")?;
        let place = axis(place as i64, x.full[along])?;
        let part = self.part(&at.node.output[0], &x, along, place, 1)?;
        if !places.dims.is_empty() {
            return Ok(vec![Value::Data(part)]);
        }
        let mut full = part.full.clone();
        full.remove(along);
        let part = part.reshaped(full, self.batch)?;
        Ok(vec![Value::Data(part)])
    }

    pub(super) fn reduce_mean(
        &mut self,
        at: At<'a>,
        inputs: Vec<Option<Value>>,
    ) -> Result<Vec<Value>, String> {
        let x = data(&inputs, 0)?;
        let axes = constant_input(&inputs, 1).map(Constant::integers);
        let axes = axes.or_else(|| at.attributes.integers("axes").map(<[i64]>::to_vec)).unwrap_or_default();
        if axes.is_empty() {
            return match at.attributes.integer("noop_with_empty_axes", 0) {
                0 => Err("a mean over all axes, the batch included".into()),
                _ => Ok(vec![Value::Data(x)]),
            };
        }
        let rank = x.full.len();
        let axes = axes.iter().map(|&at| axis(at, rank)).collect::<Result<Vec<usize>, String>>()?;
        if axes.contains(&x.axis) {
            return Err("a mean over the batch".into());
        }
        // what remains first, what is averaged last
        let kept: Vec<usize> = (0..rank).filter(|at| !axes.contains(at)).collect();
        let averaged: Vec<usize> = (0..rank).filter(|at| axes.contains(at)).collect();
        let turned = self.permuted(&x, &[kept.as_slice(), averaged.as_slice()].concat())?;
        let count: usize = averaged.iter().map(|&at| x.full[at]).product();
        let rest = turned.sample(self.batch).shape.iter().product::<usize>() / count;
        let image = match averaged.as_slice() {
            &[rows, columns] => vec![rest, x.full[rows], x.full[columns]],
            _ => vec![rest, count, 1],
        };
        let node = self.layer(&turned, &image);
        let node = self.push(&at.node.output[0], global_avg_pool(), vec![node], vec![rest]);
        let short: Vec<usize> = kept.iter().map(|&at| x.full[at]).collect();
        let to = kept.iter().position(|&at| at == x.axis).ok_or("the batch is lost")?;
        let mean = Data { node, full: short, axis: to, scale: 1.0, shift: 0.0, ..x };
        if at.attributes.integer("keepdims", 1) == 0 {
            return Ok(vec![Value::Data(mean)]);
        }
        let full = (0..rank).map(|at| if axes.contains(&at) { 1 } else { x.full[at] }).collect();
        Ok(vec![Value::Data(mean.reshaped(full, self.batch)?)])
    }
}

/// The shape that Expand gives.
fn expanded(from: &[usize], to: &[i64]) -> Result<Vec<usize>, String> {
    let rank = from.len().max(to.len());
    let length = |dims: usize, at: usize| (at + dims).checked_sub(rank);
    let dim = |at: usize| {
        let old = length(from.len(), at).map_or(1, |place| from[place]);
        let new = length(to.len(), at).map_or(1, |place| usize::try_from(to[place]).unwrap_or(0));
        if old == new || new == 1 {
            Ok(old)
        } else if old == 1 && new > 0 {
            Ok(new)
        } else {
            Err(format!("a value of shape {from:?} expanded to {to:?}"))
        }
    };
    (0..rank).map(dim).collect()
}
