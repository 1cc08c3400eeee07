//! Constants of a graph, and the operators that compute constants from constants: shapes, scales, ranges.

use crate::attributes::Attributes;
use crate::file::Numbers;

/// Most elements of a constant.
pub(crate) const MAX: usize = 1 << 20;

/// A tensor of numbers that do not depend on the input, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constant {
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Vec<f64>,
    /// Whether they are whole numbers, whose division rounds.
    pub(crate) integer: bool,
}

impl Constant {
    pub(crate) fn new(dims: Vec<usize>, numbers: Numbers) -> Self {
        match numbers {
            Numbers::Float(values) => Self { dims, values, integer: false },
            Numbers::Integer(values) => {
                Self { dims, values: values.into_iter().map(|x| x as f64).collect(), integer: true }
            }
        }
    }

    /// A node's attribute that is a tensor.
    pub(crate) fn of_attribute(attributes: &Attributes<'_>, name: &str) -> Option<Self> {
        let tensor = attributes.find(name)?.t.as_ref()?;
        let dims = tensor.dims.iter().map(|&dim| dim as usize).collect();
        Some(Self::new(dims, attributes.file.numbers(tensor).ok()?))
    }

    /// A list of whole numbers.
    pub(crate) fn list(values: impl IntoIterator<Item = i64>) -> Self {
        let values: Vec<f64> = values.into_iter().map(|x| x as f64).collect();
        Self { dims: vec![values.len()], values, integer: true }
    }

    /// A single number.
    pub(crate) fn scalar(value: f64, integer: bool) -> Self {
        Self { dims: vec![], values: vec![value], integer }
    }

    /// The number, if it is one.
    pub(crate) fn single(&self) -> Option<f64> {
        if self.values.len() == 1 { Some(self.values[0]) } else { None }
    }

    /// The one value of all elements, if they are equal.
    pub(crate) fn uniform(&self) -> Option<f64> {
        let first = *self.values.first()?;
        self.values.iter().all(|x| x.to_bits() == first.to_bits()).then_some(first)
    }

    /// Its elements as whole numbers.
    pub(crate) fn integers(&self) -> Vec<i64> {
        self.values.iter().map(|&x| x as i64).collect()
    }
}

/// An axis, counted from the end if it is negative, as an index.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let index = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let index = index.and_then(|index| usize::try_from(index).ok()).filter(|&index| index < rank);
    index.ok_or_else(|| format!("axis {axis} of a value with {rank} dimensions"))
}

/// The shape that Reshape asks for: 0 copies a dimension, -1 stands for what is left.
pub(crate) fn reshaped(from: &[usize], to: &[i64], allow_zero: bool) -> Result<Vec<usize>, String> {
    let wrong = || format!("a value of shape {from:?} as {to:?}");
    let copied = |(place, &dim): (usize, &i64)| match dim {
        0 if !allow_zero => from.get(place).copied(),
        -1 => Some(1),
        dim => usize::try_from(dim).ok(),
    };
    let mut shape: Vec<usize> = to.iter().enumerate().map(copied).collect::<Option<_>>().ok_or_else(wrong)?;
    let product = |shape: &[usize]| shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    let (all, known) = (product(from).ok_or_else(wrong)?, product(&shape).ok_or_else(wrong)?);
    if let Some(open) = to.iter().position(|&dim| dim == -1) {
        if known == 0 || !all.is_multiple_of(known) || to.iter().filter(|&&dim| dim == -1).count() > 1 {
            return Err(wrong());
        }
        shape[open] = all / known;
    } else if all != known {
        return Err(wrong());
    }
    Ok(shape)
}

/// Start and length along an axis of a slice with step 1.
pub(crate) fn window(start: i64, end: i64, length: usize) -> (usize, usize) {
    let length = length as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(length) } else { at }.clamp(0, length);
    let (start, end) = (place(start), place(end));
    (start as usize, (end - start).max(0) as usize)
}

/// What an operator makes of constants; `None` if it is not one of those that compute constants.
pub(crate) fn fold(
    op: &str,
    attributes: &Attributes<'_>,
    inputs: &[Option<&Constant>],
) -> Option<Result<Constant, String>> {
    let input = |place: usize| inputs.get(place).copied().flatten();
    let x = input(0)?;
    let list = |place: usize, name: &str| {
        input(place).map(Constant::integers).or_else(|| attributes.integers(name).map(<[i64]>::to_vec))
    };
    let same = |values: Vec<f64>| Constant { values, ..x.clone() };
    Some(match op {
        "Identity" => Ok(x.clone()),
        "Cast" => {
            Ok(Constant { integer: [6, 7, 9].contains(&attributes.integer("to", 1)), ..x.clone() }.whole())
        }
        "CastLike" => {
            Ok(Constant { integer: input(1).is_some_and(|like| like.integer), ..x.clone() }.whole())
        }
        "Sqrt" => Ok(same(x.values.iter().map(|x| x.sqrt()).collect())),
        "Neg" => Ok(same(x.values.iter().map(|x| -x).collect())),
        "Floor" => Ok(same(x.values.iter().map(|x| x.floor()).collect())),
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Equal" => binary(op, x, input(1)?),
        "Reshape" => {
            let to = input(1)?.integers();
            reshaped(&x.dims, &to, attributes.integer("allowzero", 0) != 0)
                .map(|dims| Constant { dims, ..x.clone() })
        }
        "Unsqueeze" => unsqueezed(&x.dims, &list(1, "axes")?).map(|dims| Constant { dims, ..x.clone() }),
        "Squeeze" => squeezed(&x.dims, list(1, "axes").as_deref()).map(|dims| Constant { dims, ..x.clone() }),
        "Gather" => gather(x, input(1)?, attributes.integer("axis", 0)),
        "Slice" => {
            let (starts, ends) = (list(1, "starts")?, list(2, "ends")?);
            let steps = list(4, "steps").unwrap_or_else(|| vec![1]);
            let axes = list(3, "axes").unwrap_or_else(|| (0..starts.len() as i64).collect());
            let mut bounds = starts
                .into_iter()
                .zip(ends)
                .zip(axes.into_iter().zip(steps.into_iter().chain(std::iter::repeat(1))));
            bounds
                .try_fold(x.clone(), |x, ((start, end), (along, step))| sliced(&x, [start, end, step], along))
        }
        "Transpose" => match x.dims.as_slice() {
            [_, _] if attributes.integers("perm") == Some(&[0, 1][..]) => Ok(x.clone()),
            &[rows, columns] => {
                let values = (0..x.values.len()).map(|place| x.values[place % rows * columns + place / rows]);
                Ok(Constant { dims: vec![columns, rows], values: values.collect(), ..x.clone() })
            }
            _ => Err("only matrices are transposed".into()),
        },
        "Where" => {
            let (yes, no) = (input(1)?, input(2)?);
            let value = |of: &Constant, place: usize| of.values[if of.values.len() == 1 { 0 } else { place }];
            let longest = [x, yes, no].into_iter().max_by_key(|of| of.values.len())?;
            let count = longest.values.len();
            if [x, yes, no].iter().any(|of| ![1, count].contains(&of.values.len())) {
                return Some(Err("constants of different shapes".into()));
            }
            let chosen =
                |place: usize| if value(x, place) > 0.0 { value(yes, place) } else { value(no, place) };
            let values = (0..count).map(chosen).collect();
            Ok(Constant { dims: longest.dims.clone(), values, integer: yes.integer })
        }
        "Concat" => inputs.iter().copied().collect::<Option<Vec<_>>>().map_or_else(
            || Err("an input is no constant".into()),
            |parts| {
                if parts.iter().any(|part| part.dims.len() != 1) {
                    return Err("only lists are joined".into());
                }
                let values: Vec<f64> = parts.iter().flat_map(|part| part.values.iter().copied()).collect();
                Ok(Constant { dims: vec![values.len()], values, integer: x.integer })
            },
        ),
        "Expand" => expand(x, &input(1)?.integers()),
        "ConstantOfShape" => {
            let value =
                Constant::of_attribute(attributes, "value").unwrap_or_else(|| Constant::scalar(0.0, false));
            expand(&Constant { dims: vec![], ..value }, &x.integers())
        }
        "Range" => {
            let (start, end, step) = (x.single()?, input(1)?.single()?, input(2)?.single()?);
            let count = ((end - start) / step).ceil();
            if !(0.0..=MAX as f64).contains(&count) {
                return Some(Err("a range that is too long".into()));
            }
            let values = (0..count as usize).map(|place| start + place as f64 * step).collect::<Vec<_>>();
            Ok(Constant { dims: vec![values.len()], values, integer: x.integer })
        }
        _ => return None,
    })
}

impl Constant {
    /// Whole numbers where it has to have them.
    fn whole(mut self) -> Self {
        if self.integer {
            self.values.iter_mut().for_each(|x| *x = x.trunc());
        }
        self
    }
}

/// Places along a dimension, from a start to an end, not included, by a step.
fn sliced(x: &Constant, [start, end, step]: [i64; 3], along: i64) -> Result<Constant, String> {
    let along = axis(along, x.dims.len())?;
    let length = x.dims[along] as i64;
    if step == 0 {
        return Err("a slice with step 0".into());
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |at: i64| if at < 0 { at.saturating_add(length) } else { at }.clamp(low, high);
    let (end, mut at, mut places) = (place(end), place(start), vec![]);
    while if step > 0 { at < end } else { at > end } {
        places.push(at as usize);
        at = at.saturating_add(step);
    }
    let inner: usize = x.dims[along + 1..].iter().product();
    let outer: usize = x.dims[..along].iter().product();
    let mut values = Vec::with_capacity(outer * places.len() * inner);
    for block in 0..outer {
        for place in &places {
            let first = (block * x.dims[along] + place) * inner;
            values.extend_from_slice(&x.values[first..first + inner]);
        }
    }
    let mut dims = x.dims.clone();
    dims[along] = places.len();
    Ok(Constant { dims, values, integer: x.integer })
}

/// A shape with dimensions of 1 at these places of the result.
pub(crate) fn unsqueezed(dims: &[usize], axes: &[i64]) -> Result<Vec<usize>, String> {
    let rank = dims.len() + axes.len();
    let mut axes = axes.iter().map(|&at| axis(at, rank)).collect::<Result<Vec<usize>, String>>()?;
    axes.sort_unstable();
    let mut dims = dims.to_vec();
    for at in axes {
        if at > dims.len() {
            return Err(format!("no place for a dimension at {at}"));
        }
        dims.insert(at, 1);
    }
    Ok(dims)
}

/// A shape without its dimensions of 1 at these places, or without all of them.
pub(crate) fn squeezed(dims: &[usize], axes: Option<&[i64]>) -> Result<Vec<usize>, String> {
    let Some(axes) = axes else { return Ok(dims.iter().copied().filter(|&dim| dim != 1).collect()) };
    let axes = axes.iter().map(|&at| axis(at, dims.len())).collect::<Result<Vec<usize>, String>>()?;
    if let Some(&at) = axes.iter().find(|&&at| dims[at] != 1) {
        return Err(format!("dimension {at} of {dims:?} is not 1"));
    }
    Ok((0..dims.len()).filter(|at| !axes.contains(at)).map(|at| dims[at]).collect())
}

fn binary(op: &str, a: &Constant, b: &Constant) -> Result<Constant, String> {
    let (long, short) = if a.values.len() >= b.values.len() { (a, b) } else { (b, a) };
    if short.values.len() != 1 && short.dims != long.dims {
        return Err(format!("constants of shapes {:?} and {:?}", a.dims, b.dims));
    }
    let integer = a.integer && b.integer;
    let value = |constant: &Constant, place: usize| {
        constant.values[if constant.values.len() == 1 { 0 } else { place }]
    };
    let values = (0..long.values.len()).map(|place| {
        let (a, b) = (value(a, place), value(b, place));
        match op {
            "Add" => a + b,
            "Sub" => a - b,
            "Mul" => a * b,
            // the sign of the divisor
            "Mod" => a - b * (a / b).floor(),
            "Equal" => f64::from(u8::from((a - b).abs() < f64::MIN_POSITIVE)),
            _ if integer => (a / b).trunc(),
            _ => a / b,
        }
    });
    let dims = if a.dims.len() >= b.dims.len() && a.values.len() == long.values.len() {
        &a.dims
    } else {
        &long.dims
    };
    Ok(Constant { dims: dims.clone(), values: values.collect(), integer })
}

fn gather(x: &Constant, places: &Constant, along: i64) -> Result<Constant, String> {
    if x.dims.len() != 1 || along != 0 {
        return Err("only elements of lists are gathered".into());
    }
    let value = |place: i64| Ok(x.values[axis(place, x.values.len())?]);
    let values = places.integers().into_iter().map(value).collect::<Result<Vec<f64>, String>>()?;
    Ok(Constant { dims: places.dims.clone(), values, integer: x.integer })
}

fn expand(x: &Constant, to: &[i64]) -> Result<Constant, String> {
    let wrong = || format!("a constant of shape {:?} expanded to {to:?}", x.dims);
    let value = x.uniform().ok_or_else(wrong)?;
    let dims =
        to.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<Vec<usize>>>().ok_or_else(wrong)?;
    let count =
        dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim)).filter(|&count| count <= MAX);
    Ok(Constant { dims, values: vec![value; count.ok_or_else(wrong)?], integer: x.integer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remainder_has_the_sign_of_the_divisor() {
        let number = |x: f64| Constant { dims: vec![], values: vec![x], integer: true };
        let remainder = |a, b| binary("Mod", &number(a), &number(b)).unwrap().integers()[0];
        assert_eq!([remainder(-1.0, 3.0), remainder(1.0, -3.0), remainder(7.0, 3.0)], [2, -2, 1]);
    }
}
