//! The kinds of rows, a file each. This list is the only place that knows them all.

macro_rules! rows {
    (training { $($of_training:ident: $Training:ident,)* } probes { $($of_probe:ident: $Probe:ident,)* }) => {
        $(mod $of_training;)*
        $(mod $of_probe;)*
        $(pub use self::$of_training::*;)*
        $(pub use self::$of_probe::*;)*

        /// What a row says, by its kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Kind {
            $(#[doc = concat!("`", stringify!($of_training), "`")] $Training($Training),)*
            $(#[doc = concat!("`", stringify!($of_probe), "`")] $Probe($Probe),)*
        }

        impl Kind {
            /// The names of all kinds.
            pub const NAMES: &'static [&'static str] =
                &[$(stringify!($of_training),)* $(stringify!($of_probe),)*];

            /// The kind's name, as written: for what a probe measured, the probe's name.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$Training(_) => stringify!($of_training),)*
                    $(Self::$Probe(_) => stringify!($of_probe),)*
                }
            }

            /// Whether a probe measured it; otherwise training itself recorded it.
            pub const fn is_of_probe(&self) -> bool {
                matches!(self, $(Self::$Probe(_))|*)
            }

            /// The row's scalars.
            pub fn scalars(&self) -> Vec<Scalar> {
                match self {
                    $(Self::$Training(row) => row.scalars(),)*
                    $(Self::$Probe(row) => row.scalars(),)*
                }
            }

            /// The row's fields as a JSON object.
            pub(crate) fn to_json(&self) -> serde_json::Result<String> {
                match self {
                    $(Self::$Training(row) => serde_json::to_string(row),)*
                    $(Self::$Probe(row) => serde_json::to_string(row),)*
                }
            }

            /// Reads the fields of the kind called `name`; `None` for a name that is no kind.
            pub(crate) fn from_json(name: &str, text: &[u8]) -> Option<serde_json::Result<Self>> {
                Some(match name {
                    $(stringify!($of_training) => serde_json::from_slice(text).map(Self::$Training),)*
                    $(stringify!($of_probe) => serde_json::from_slice(text).map(Self::$Probe),)*
                    _ => return None,
                })
            }

            /// The JSON schema of each kind's fields, under its name.
            pub fn schemas() -> Vec<KindSchema> {
                vec![
                    $(KindSchema { name: stringify!($of_training), schema: schemars::schema_for!($Training) },)*
                    $(KindSchema { name: stringify!($of_probe), schema: schemars::schema_for!($Probe) },)*
                ]
            }
        }

        $(row_kind!($Training);)*
        $(row_kind!($Probe);)*
    };
}

macro_rules! row_kind {
    ($Row:ident) => {
        impl RowKind for $Row {
            fn of(kind: &Kind) -> Option<&Self> {
                if let Kind::$Row(row) = kind { Some(row) } else { None }
            }
        }

        impl From<$Row> for Kind {
            fn from(row: $Row) -> Self {
                Self::$Row(row)
            }
        }
    };
}

use crate::{Scalar, Scalars};

/// A type of row.
pub trait RowKind: Scalars + Into<Kind> {
    /// The row, if it is of this kind.
    fn of(kind: &Kind) -> Option<&Self>;
}

/// What a kind of row holds.
#[derive(Clone, Debug)]
pub struct KindSchema {
    /// The kind's name.
    pub name: &'static str,
    /// Its fields, but for the kind and the stamp.
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
    }
}
