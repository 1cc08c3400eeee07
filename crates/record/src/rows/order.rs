//! The order in which an epoch visits the training samples.

use super::prelude::*;

/// The order in which an epoch visits the training samples; recorded before the epoch's first update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// Indices of the samples in the training part, one batch after another.
    pub samples: Vec<usize>,
}

scalars!(Order:);
