//! A measured number that may be missing.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A measured number, or none if it could not be measured or was not finite.
///
/// Written as a JSON number or `null` and shown as "-" if missing, so no value can make a record unreadable.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(transparent)]
pub struct Measured(Option<f64>);

impl Measured {
    /// No number.
    pub const MISSING: Self = Self(None);

    /// The number, if there is one.
    pub const fn get(self) -> Option<f64> {
        self.0
    }

    /// The number, or NaN.
    pub fn or_nan(self) -> f64 {
        self.0.unwrap_or(f64::NAN)
    }
}

/// Missing if `value` is not finite.
impl From<f64> for Measured {
    fn from(value: f64) -> Self {
        Self(Some(value).filter(|value| value.is_finite()))
    }
}

/// 1 for true, 0 for false.
impl From<bool> for Measured {
    fn from(value: bool) -> Self {
        f64::from(u8::from(value)).into()
    }
}

impl From<Option<bool>> for Measured {
    fn from(value: Option<bool>) -> Self {
        value.map_or(Self::MISSING, Self::from)
    }
}

impl From<Option<f64>> for Measured {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::MISSING, Self::from)
    }
}

/// A list of measured numbers.
pub fn measured(values: &[f64]) -> Vec<Measured> {
    values.iter().copied().map(Measured::from).collect()
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_missing() {
        let values: Vec<Measured> = [1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Into::into).into();
        let text = serde_json::to_string(&values).unwrap();
        assert_eq!(text, "[1.5,null,null,null]");
        assert_eq!(serde_json::from_str::<Vec<Measured>>(&text).unwrap(), values);
        assert_eq!(format!("{:.2} {}", values[0], values[1]), "1.50 -");
        assert!(values[1].or_nan().is_nan());
    }
}
