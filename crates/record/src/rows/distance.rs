//! The distance of θ from its initial value.

use super::prelude::*;

/// The distance of θ from its initial value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// ‖θ - θ_0‖₂ after the update.
    pub distance: Measured,
}

scalars!(Distance: distance);
