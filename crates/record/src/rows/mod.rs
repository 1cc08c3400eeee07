//! The kinds of rows, one file each. Only this list knows all of them.

mod prelude;

use serde_json::Value;

use crate::{Scalar, Scalars};

macro_rules! rows {
    (training { $($training:ident: $Training:ident,)* } probes { $($probe:ident: $Probe:ident,)* }) => {
        kinds! { $($training: $Training,)* $($probe: $Probe,)* }

        impl Kind {
            /// Whether a probe measured it; otherwise training itself recorded it.
            pub const fn is_of_probe(&self) -> bool {
                matches!(self, $(Self::$Probe(_))|*)
            }
        }
    };
}

macro_rules! kinds {
    ($($name:ident: $Row:ident,)*) => {
        $(mod $name;)*
        $(pub use self::$name::*;)*

        /// The contents of a row, by kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Kind {
            $(#[doc = concat!("`", stringify!($name), "`")] $Row($Row),)*
        }

        impl Kind {
            /// The names of all kinds.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];

            /// The kind's name as written: for a measurement of a probe, the probe's name.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$Row(_) => stringify!($name),)* }
            }

            /// The row's scalars.
            pub fn scalars(&self) -> Vec<Scalar> {
                match self { $(Self::$Row(row) => row.scalars(),)* }
            }

            /// Fields that are `null` where there was nothing to measure.
            const fn optional(&self) -> &'static [&'static str] {
                match self { $(Self::$Row(_) => $Row::OPTIONAL,)* }
            }

            /// The row's fields as a JSON object.
            pub(crate) fn to_json(&self) -> serde_json::Result<String> {
                match self { $(Self::$Row(row) => serde_json::to_string(row),)* }
            }

            /// Reads the fields of the kind called `name`; `None` for an unknown kind.
            pub(crate) fn from_json(name: &str, text: &[u8]) -> Option<serde_json::Result<Self>> {
                match name {
                    $(stringify!($name) => Some(serde_json::from_slice(text).map(Self::$Row)),)*
                    _ => None,
                }
            }

            /// The JSON schema of each kind's fields, under its name.
            pub fn schemas() -> Vec<KindSchema> {
                vec![$(KindSchema { name: stringify!($name), schema: schemars::schema_for!($Row) },)*]
            }
        }

        $(impl RowKind for $Row {
            fn of(kind: &Kind) -> Option<&Self> {
                if let Kind::$Row(row) = kind { Some(row) } else { None }
            }
        }

        impl From<$Row> for Kind {
            fn from(row: $Row) -> Self {
                Self::$Row(row)
            }
        })*
    };
}

impl Kind {
    /// Values that were measured and are missing because they are not finite.
    pub fn not_finite(&self) -> usize {
        let text = self.to_json().unwrap_or_default();
        // most rows have none and need not be parsed again
        if !text.contains("null") {
            return 0;
        }
        serde_json::from_str(&text).map_or(0, |value| nulls(&value, self.optional()))
    }
}

/// The values that are `null`, except those under the keys `optional`.
fn nulls(value: &Value, optional: &[&str]) -> usize {
    match value {
        Value::Null => 1,
        Value::Array(values) => values.iter().map(|value| nulls(value, optional)).sum(),
        Value::Object(fields) => {
            let required = fields.iter().filter(|(key, _)| !optional.contains(&key.as_str()));
            required.map(|(_, value)| nulls(value, optional)).sum()
        }
        _ => 0,
    }
}

/// A type of row.
pub trait RowKind: Scalars + Into<Kind> + 'static {
    /// The row, if it is of this kind.
    fn of(kind: &Kind) -> Option<&Self>;
}

/// The description of a kind of row.
#[derive(Clone, Debug)]
pub struct KindSchema {
    /// The kind's name.
    pub name: &'static str,
    /// Its fields, except for the kind and the stamp.
    pub schema: schemars::Schema,
}

rows! {
    training {
        train: Train,
        order: Order,
        epoch: Epoch,
    }
    probes {
        interpolation: Interpolation,
        noise: Noise,
        cosine: Cosine,
        distance: Distance,
        alignment: Alignment,
        covariance: Covariance,
        spectrum: Spectrum,
        critical_lr: CriticalLr,
        line: Line,
        plane: Plane,
        quadratic: Quadratic,
        connectivity: Connectivity,
    }
}
