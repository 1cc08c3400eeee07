//! What a name in an ONNX graph stands for while it is translated.
//!
//! ONNX's shapes have the batch in them, anywhere: attention puts tokens first, and merges the batch with the heads. A layer of
//! walk-arch sees one sample. What makes the translation simple is that the elements of one sample keep their order wherever the
//! batch stands, so a value needs only to know which of its dimensions has the batch as a factor.

use crate::constant::Constant;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Numbers that are known.
    Constant(Constant),
    /// A parameter that no layer has taken yet.
    Parameter(Parameter),
    /// What a layer computes.
    Data(Data),
    /// scale · erf(x / √2) + shift, a part of GELU's formula.
    Erf(ErfTerm),
    /// The parts of a split value.
    Sequence(Vec<Value>),
    /// What an operator computes that cannot be translated; said once.
    Unknown,
}

/// A parameter that no layer has taken yet.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    /// The initializer's name.
    pub(crate) name: String,
    /// Its shape, perhaps with dimensions of 1 more or fewer than in the file.
    pub(crate) dims: Vec<usize>,
    /// Whether it is a matrix that was transposed.
    pub(crate) transposed: bool,
}

/// A layer's value, scaled and shifted by constants.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    /// The layer.
    pub(crate) node: usize,
    /// The shape in ONNX, with the batch.
    pub(crate) full: Vec<usize>,
    /// The dimension that has the batch as a factor: `outer` · batch · inner.
    pub(crate) axis: usize,
    pub(crate) outer: usize,
    /// The constants, which become a layer only where nothing else takes them.
    pub(crate) scale: f64,
    pub(crate) shift: f64,
}

/// scale · erf(x / √2) + shift
#[derive(Clone, Debug)]
pub(crate) struct ErfTerm {
    pub(crate) x: Data,
    pub(crate) scale: f64,
    pub(crate) shift: f64,
}

impl Data {
    /// The shape of one sample, and where each of ONNX's dimensions is in it.
    pub(crate) fn sample(&self, batch: usize) -> Sample {
        let rest = self.full[self.axis] / batch;
        let mut shape = self.full.clone();
        if rest == 1 {
            shape.remove(self.axis);
        } else {
            shape[self.axis] = rest;
        }
        Sample { shape, dropped: (rest == 1).then_some(self.axis) }
    }

    /// The dimension of a sample that is dimension `axis` in ONNX; not the batch's.
    pub(crate) fn place(&self, axis: usize, batch: usize) -> Result<usize, String> {
        if axis == self.axis {
            return Err("it works along the batch".into());
        }
        Ok(self.sample(batch).place(axis))
    }

    /// The same elements in another shape.
    pub(crate) fn reshaped(&self, full: Vec<usize>, batch: usize) -> Result<Self, String> {
        // elements of a sample that come before the batch in the order of the elements
        let before: usize = self.full[..self.axis].iter().product::<usize>() * self.outer;
        let mut prefix = 1;
        for (axis, &dim) in full.iter().enumerate() {
            if before.is_multiple_of(prefix) && dim.is_multiple_of(before / prefix * batch) {
                return Ok(Self { axis, outer: before / prefix, full, ..self.clone() });
            }
            prefix *= dim;
            if prefix == 0 || prefix > before {
                break;
            }
        }
        Err(format!("the batch is lost between shapes {:?} and {full:?}", self.full))
    }

    pub(crate) fn is_plain(&self) -> bool {
        (self.scale - 1.0).abs() < f64::EPSILON && self.shift.abs() < f64::MIN_POSITIVE
    }
}

/// The shape of one sample of a value.
pub(crate) struct Sample {
    pub(crate) shape: Vec<usize>,
    /// The dimension of ONNX's shape that is the batch and nothing else.
    dropped: Option<usize>,
}

impl Sample {
    /// Where a dimension of ONNX's is in it.
    pub(crate) fn place(&self, axis: usize) -> usize {
        axis - usize::from(self.dropped.is_some_and(|dropped| dropped < axis))
    }
}
