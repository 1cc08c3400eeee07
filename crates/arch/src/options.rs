//! Typed options declared by a plugin: name, default, range and a line of help.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Activation, nearest};

/// Option values from the experiment file, by name.
pub type OptionValues = serde_json::Map<String, Value>;

/// Maximum number of elements of a list option.
const MAX_LIST: usize = 1000;

/// The options struct of a plugin; [`options!`](crate::options) implements it.
pub trait Options: Sized {
    /// The declared options, in order.
    fn specs() -> Vec<OptionSpec>;

    /// The options, with `values` replacing the defaults.
    ///
    /// # Errors
    /// [`OptionError`] if a name is unknown or a value has the wrong type or is out of range.
    fn from_values(values: &OptionValues) -> Result<Self, OptionError>;
}

/// One declared option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionSpec {
    /// Its key in `[model.options]`.
    pub name: String,
    /// One line of help.
    pub help: String,
    /// Type and range.
    pub kind: OptionKind,
    /// Its default value.
    pub default: Value,
}

/// Type and range of an option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variants' docs say what min and max are")]
pub enum OptionKind {
    /// `true` or `false`.
    Bool,
    /// A whole number within the limits.
    Integer { min: f64, max: f64 },
    /// A number within the limits.
    Number { min: f64, max: f64 },
    /// One of these words.
    Choice(Vec<String>),
    /// A list of whole numbers, each within the limits.
    Integers { min: f64, max: f64 },
    /// Any text.
    Text,
    /// The path of a file, whose contents determine the network.
    File,
}

/// Why an option's value is invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum OptionError {
    #[error("no option `{name}`{}; the options are {known}", suggestion(.nearest))]
    Unknown { name: String, nearest: Option<String>, known: String },
    #[error("`{name}` = {found}, expected {expected}")]
    Value { name: String, found: Value, expected: String },
}

impl OptionError {
    /// The option's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown { name, .. } | Self::Value { name, .. } => name,
        }
    }
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or(String::new(), |name| format!(", did you mean `{name}`?"))
}

impl std::fmt::Display for OptionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool => write!(f, "true or false"),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Choice(words) => write!(f, "one of {}", quoted(words)),
            Self::Integers { min, max } => write!(f, "a list of whole numbers from {min} to {max}"),
            Self::Text => write!(f, "text"),
            Self::File => write!(f, "the path of a file"),
        }
    }
}

fn quoted<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| format!("\"{}\"", word.as_ref())).collect::<Vec<_>>().join(", ")
}

impl OptionKind {
    fn accepts(&self, value: &Value) -> bool {
        let whole = |value: &Value, min: f64, max: f64| {
            value.as_u64().is_some_and(|n| (min..=max).contains(&(n as f64)))
        };
        match self {
            Self::Bool => value.is_boolean(),
            Self::Integer { min, max } => whole(value, *min, *max),
            Self::Number { min, max } => value.as_f64().is_some_and(|x| (*min..=*max).contains(&x)),
            Self::Choice(words) => value.as_str().is_some_and(|word| words.iter().any(|known| known == word)),
            Self::Integers { min, max } => value.as_array().is_some_and(|list| {
                list.len() <= MAX_LIST && list.iter().all(|item| whole(item, *min, *max))
            }),
            Self::Text | Self::File => value.is_string(),
        }
    }
}

/// Checks values against declared options; used by both host and plugin.
///
/// # Errors
/// [`OptionError`] for the first unknown name or invalid value.
#[doc(hidden)]
pub fn check(specs: &[OptionSpec], values: &OptionValues) -> Result<(), OptionError> {
    for (name, value) in values {
        let Some(spec) = specs.iter().find(|spec| spec.name == *name) else {
            let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
            let nearest = nearest(name, names.iter().copied()).map(str::to_owned);
            let known = if names.is_empty() { "none".into() } else { names.join(", ") };
            return Err(OptionError::Unknown { name: name.clone(), nearest, known });
        };
        if !spec.kind.accepts(value) {
            let expected = spec.kind.to_string();
            return Err(OptionError::Value { name: name.clone(), found: value.clone(), expected });
        }
    }
    Ok(())
}

/// Limits of a numeric option, from a range literal of whole numbers or of floats.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Limits(f64, f64);

impl From<RangeInclusive<i32>> for Limits {
    fn from(range: RangeInclusive<i32>) -> Self {
        Self(f64::from(*range.start()), f64::from(*range.end()))
    }
}

impl From<RangeInclusive<f64>> for Limits {
    fn from(range: RangeInclusive<f64>) -> Self {
        Self(*range.start(), *range.end())
    }
}

/// A type allowed for fields of an options struct.
pub trait OptionValue: Sized {
    /// Its [`OptionKind`], with the given limits if applicable.
    fn kind(limits: Limits) -> OptionKind;
    /// The value; `None` if it has another type.
    fn from_value(value: &Value) -> Option<Self>;
    /// As JSON, for the declared default.
    fn to_value(&self) -> Value;
}

impl OptionValue for bool {
    fn kind(_: Limits) -> OptionKind {
        OptionKind::Bool
    }
    fn from_value(value: &Value) -> Option<Self> {
        value.as_bool()
    }
    fn to_value(&self) -> Value {
        (*self).into()
    }
}

impl OptionValue for usize {
    fn kind(Limits(min, max): Limits) -> OptionKind {
        OptionKind::Integer { min, max }
    }
    fn from_value(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
    fn to_value(&self) -> Value {
        (*self).into()
    }
}

impl OptionValue for f64 {
    fn kind(Limits(min, max): Limits) -> OptionKind {
        OptionKind::Number { min, max }
    }
    fn from_value(value: &Value) -> Option<Self> {
        value.as_f64()
    }
    fn to_value(&self) -> Value {
        (*self).into()
    }
}

impl OptionValue for Vec<usize> {
    fn kind(Limits(min, max): Limits) -> OptionKind {
        OptionKind::Integers { min, max }
    }
    fn from_value(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(usize::from_value).collect()
    }
    fn to_value(&self) -> Value {
        self.clone().into()
    }
}

impl OptionValue for String {
    fn kind(_: Limits) -> OptionKind {
        OptionKind::Text
    }
    fn from_value(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
    fn to_value(&self) -> Value {
        self.as_str().into()
    }
}

impl OptionValue for PathBuf {
    fn kind(_: Limits) -> OptionKind {
        OptionKind::File
    }
    fn from_value(value: &Value) -> Option<Self> {
        value.as_str().map(Self::from)
    }
    fn to_value(&self) -> Value {
        self.to_string_lossy().into()
    }
}

impl OptionValue for Activation {
    fn kind(_: Limits) -> OptionKind {
        OptionKind::Choice(Self::ALL.iter().map(|activation| activation.name().into()).collect())
    }
    fn from_value(value: &Value) -> Option<Self> {
        Self::ALL.into_iter().find(|activation| Some(activation.name()) == value.as_str())
    }
    fn to_value(&self) -> Value {
        self.name().into()
    }
}

/// One field of [`options!`](crate::options): its spec.
#[doc(hidden)]
pub fn declared<T: OptionValue>(name: &str, help: &str, default: &T, limits: Option<Limits>) -> OptionSpec {
    let limits = limits.unwrap_or(Limits(0.0, f64::MAX));
    OptionSpec {
        name: name.into(),
        help: help.trim().into(),
        kind: T::kind(limits),
        default: default.to_value(),
    }
}

/// Declares the options struct of a plugin.
///
/// Each field has a documentation comment (its help), a type ([`bool`], [`usize`], [`f64`], `Vec<usize>`,
/// [`Activation`](crate::Activation), [`String`], or [`PathBuf`] for a file), a default and, for numbers, a range.
///
/// ```
/// walk_arch::options! {
///     /// Options of a small network.
///     pub struct SmallOptions {
///         /// width of each hidden layer
///         widths: Vec<usize> = vec![32, 16], in 1..=4096;
///         /// BatchNorm1d after each hidden layer
///         batch_norm: bool = true;
///     }
/// }
/// use walk_arch::Options;
/// let mut values = walk_arch::OptionValues::new();
/// values.insert("widht".into(), 3.into());
/// let error = SmallOptions::from_values(&values).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "no option `widht`, did you mean `widths`?; the options are widths, batch_norm"
/// );
/// ```
#[macro_export]
macro_rules! options {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[doc = $help:literal])+ $field:ident : $type:ty = $default:expr $(, in $range:expr)? ;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $($(#[doc = $help])+ pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::Options for $name {
            fn specs() -> Vec<$crate::OptionSpec> {
                let defaults = Self::default();
                vec![$($crate::private::declared(
                    stringify!($field),
                    concat!($($help),+),
                    &defaults.$field,
                    None $(.or(Some($crate::private::Limits::from($range))))?,
                )),*]
            }

            fn from_values(values: &$crate::OptionValues) -> Result<Self, $crate::OptionError> {
                $crate::private::check(&Self::specs(), values)?;
                let mut options = Self::default();
                $(if let Some(value) = values.get(stringify!($field)).and_then($crate::OptionValue::from_value) {
                    options.$field = value;
                })*
                Ok(options)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    options! {
        /// Options of the tests.
        struct Sample {
            /// some widths
            widths: Vec<usize> = vec![3, 2], in 1..=64;
            /// a depth
            depth: usize = 4, in 2..=10;
            /// a probability
            dropout: f64 = 0.5, in 0.0..=1.0;
            /// a nonlinearity
            activation: Activation = Activation::Tanh;
            /// a switch
            wide: bool = false;
            /// a label
            label: String = "none".into();
            /// a file
            file: PathBuf = PathBuf::new();
        }
    }

    fn parse(json: &str) -> Result<Sample, OptionError> {
        Sample::from_values(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn defaults_and_given_values() {
        let options = parse(r#"{"depth": 7, "activation": "gelu", "widths": [9]}"#).unwrap();
        assert_eq!((options.depth, options.activation, options.widths), (7, Activation::Gelu, vec![9]));
        assert_eq!((options.dropout, options.wide), (0.5, false));
        assert_eq!((options.label.as_str(), options.file), ("none", PathBuf::new()));
        let options = parse(r#"{"label": "a", "file": "b/c.onnx"}"#).unwrap();
        assert_eq!((options.label.as_str(), options.file), ("a", PathBuf::from("b/c.onnx")));
    }

    #[test]
    fn refuses_wrong_types_and_ranges_and_says_what_is_right() {
        let message = |json| parse(json).unwrap_err().to_string();
        assert_eq!(message(r#"{"depth": 11}"#), "`depth` = 11, expected a whole number from 2 to 10");
        assert_eq!(message(r#"{"depth": "x"}"#), "`depth` = \"x\", expected a whole number from 2 to 10");
        assert_eq!(
            message(r#"{"widths": [0]}"#),
            "`widths` = [0], expected a list of whole numbers from 1 to 64"
        );
        assert_eq!(message(r#"{"dropout": 1.5}"#), "`dropout` = 1.5, expected a number from 0 to 1");
        assert_eq!(message(r#"{"wide": 1}"#), "`wide` = 1, expected true or false");
        assert_eq!(message(r#"{"file": 1}"#), "`file` = 1, expected the path of a file");
        assert!(
            message(r#"{"activation": "rleu"}"#)
                .starts_with("`activation` = \"rleu\", expected one of \"relu\"")
        );
        assert!(message(r#"{"dept": 3}"#).contains("did you mean `depth`?"));
    }
}
