//! How far θ is from where it started.

use super::prelude::*;

/// How far θ is from where it started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// ‖θ - θ_0‖₂ after the update.
    pub distance: Measured,
}

scalars!(Distance: distance);
