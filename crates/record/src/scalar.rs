//! Scalars: the numbers of a row that are tracked over a run.

use crate::Measured;

/// A named number of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Its name within the row's kind.
    pub name: String,
    /// Its value.
    pub value: Measured,
}

impl Scalar {
    pub(crate) fn new(name: impl Into<String>, value: impl Into<Measured>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// A row that names its scalars, which TensorBoard, the default table and the default figures show.
pub trait Scalars {
    /// Fields that are `null` if there was nothing to measure; any other `null` is a value that was not finite.
    const OPTIONAL: &'static [&'static str] = &[];

    /// The row's scalars, in the order in which they are shown.
    fn scalars(&self) -> Vec<Scalar>;
}

/// Declares fields of a row as scalars, and fields as optional.
macro_rules! scalars {
    ($Row:ident: $($field:ident),*) => {
        scalars!($Row: $($field),*; optional:);
    };
    ($Row:ident: $($field:ident),*; optional: $($optional:ident),*) => {
        impl crate::Scalars for $Row {
            const OPTIONAL: &'static [&'static str] = &[$(stringify!($optional)),*];

            fn scalars(&self) -> Vec<crate::Scalar> {
                vec![$(crate::Scalar::new(stringify!($field), self.$field)),*]
            }
        }
    };
}
pub(crate) use scalars;
