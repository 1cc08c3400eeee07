//! The floating-point types of the composite layers.

use dfdx::prelude::*;

/// The type that dfdx's operations compute in: f32, or f64 for a reference.
pub(crate) trait Number: Dtype {
    /// The number nearest to `x`.
    fn of(x: f64) -> Self;

    /// As f64, exactly.
    fn precise(self) -> f64;

    /// The nearest f32.
    fn rounded(self) -> f32 {
        self.precise() as f32
    }
}

impl Number for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }

    fn precise(self) -> f64 {
        self.into()
    }
}

impl Number for f64 {
    fn of(x: f64) -> Self {
        x
    }

    fn precise(self) -> f64 {
        self
    }
}
