//! The angle between the gradients of consecutive updates.

use super::prelude::*;

/// The angle between the gradients of an update and the previous one (paper, Eq. 5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cosine {
    /// g_t·g_{t-1} / (‖g_t‖ ‖g_{t-1}‖); missing if a gradient is 0.
    pub cosine: Measured,
    /// The same with λθ added to each gradient.
    pub cosine_with_decay: Measured,
}

scalars!(Cosine: cosine, cosine_with_decay; optional: cosine, cosine_with_decay);
