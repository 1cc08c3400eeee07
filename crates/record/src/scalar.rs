//! The numbers that a row is followed by over a run.

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

/// A row that names its scalars: TensorBoard, the default table and the default figure show them.
pub trait Scalars {
    /// The row's scalars, in the order in which they are shown.
    fn scalars(&self) -> Vec<Scalar>;
}

/// Names fields of a row as its scalars.
macro_rules! scalars {
    ($Row:ident: $($field:ident),*) => {
        impl crate::Scalars for $Row {
            fn scalars(&self) -> Vec<crate::Scalar> {
                vec![$(crate::Scalar::new(stringify!($field), self.$field)),*]
            }
        }
    };
}
pub(crate) use scalars;
