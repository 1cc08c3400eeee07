//! What a probe remembers of past updates; it makes a resumed run measure the same as an uninterrupted one.

use std::collections::BTreeMap;

use walk_record::Values;

use crate::TrainError;

/// Prefix of the names of measured lists, which depend on the settings of the experiment; other lists depend only on the
/// trajectory.
const MEASURED: &str = "measured.";

/// Named lists of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory(pub(crate) BTreeMap<String, Values>);

impl Memory {
    /// Adds a list, if any.
    pub(crate) fn with(mut self, name: &str, values: impl Into<Option<Values>>) -> Self {
        self.0.extend(values.into().map(|values| (name.to_owned(), values)));
        self
    }

    /// Drops measured lists: a fork measures with its own settings.
    pub fn forget_measured(&mut self) {
        self.0.retain(|name, _| !name.starts_with(MEASURED));
    }

    /// The result of `read` for the list of that name, if there is one; an error if `read` fails.
    pub(crate) fn get<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Values) -> Option<T>,
    ) -> Result<Option<T>, TrainError> {
        let wrong = || TrainError::State { what: name.to_owned() };
        self.0.get(name).map(|values| read(values).ok_or_else(wrong)).transpose()
    }

    /// The list of that name as f32 of length `len`, if there is one.
    pub(crate) fn f32s(&self, name: &str, len: usize) -> Result<Option<Vec<f32>>, TrainError> {
        self.get(name, |values| match values {
            Values::F32(values) if values.len() == len => Some(values.clone()),
            _ => None,
        })
    }
}
