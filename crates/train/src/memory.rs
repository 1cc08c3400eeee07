//! What a probe remembers of the updates it has seen: with it a resumed run measures as one that never stopped.

use std::collections::BTreeMap;

use walk_record::Values;

use crate::TrainError;

/// Prefix of the names of lists that were measured, by the settings of the experiment that measured them; the others tell of
/// the trajectory alone.
const MEASURED: &str = "measured.";

/// Named lists of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory(pub(crate) BTreeMap<String, Values>);

impl Memory {
    /// Adds a list.
    pub(crate) fn with(mut self, name: &str, values: Values) -> Self {
        self.0.insert(name.to_owned(), values);
        self
    }

    /// Drops what was measured: a fork measures by settings of its own.
    pub fn forget_measured(&mut self) {
        self.0.retain(|name, _| !name.starts_with(MEASURED));
    }

    /// A list of f32 of length `len`, if there is one of that name.
    pub(crate) fn f32s(&self, name: &str, len: usize) -> Result<Option<Vec<f32>>, TrainError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Values::F32(values)) if values.len() == len => Ok(Some(values.clone())),
            Some(_) => Err(TrainError::State { what: name.to_owned() }),
        }
    }

    /// A list of f64, if there is one of that name.
    pub(crate) fn f64s(&self, name: &str) -> Result<Option<Vec<f64>>, TrainError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Values::F64(values)) => Ok(Some(values.clone())),
            Some(_) => Err(TrainError::State { what: name.to_owned() }),
        }
    }

    /// A counter, if there is one of that name.
    pub(crate) fn counter(&self, name: &str) -> Result<Option<u64>, TrainError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Values::U64(values)) if values.len() == 1 => Ok(Some(values[0])),
            Some(_) => Err(TrainError::State { what: name.to_owned() }),
        }
    }
}
