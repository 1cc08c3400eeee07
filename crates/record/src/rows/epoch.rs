//! The end of an epoch.

use super::prelude::*;

/// The end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Epoch {
    /// Mean loss of the samples in the epoch's batches, each at the θ before its own update.
    pub train_loss: Measured,
    /// Fraction of the samples in the epoch's batches classified correctly, each at the θ before its own update; missing in runs
    /// of versions that did not record it.
    #[serde(default)]
    pub train_accuracy: Measured,
    /// Mean loss of the validation samples at the end of the epoch, with running batch norm statistics.
    pub valid_loss: Measured,
    /// Fraction of the validation samples classified correctly.
    pub valid_accuracy: Measured,
}

scalars!(Epoch: train_loss, train_accuracy, valid_loss, valid_accuracy; optional: train_accuracy);
