//! One update of the parameters.

use super::prelude::*;

/// One update of the parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Train {
    /// Mean loss of the batch, before the update.
    pub loss: Measured,
    /// ‖g‖₂ of the batch gradient, without weight decay.
    pub grad_norm: Measured,
    /// η
    pub lr: f64,
}

scalars!(Train: loss, grad_norm, lr);
