//! How far θ is from where it started.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Measured;
use crate::scalar::scalars;

/// How far θ is from where it started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// ‖θ - θ_0‖₂ after the update.
    pub distance: Measured,
}

scalars!(Distance: distance);
