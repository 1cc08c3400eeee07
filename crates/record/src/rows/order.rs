//! The order in which an epoch visits the training samples.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scalar::scalars;

/// The order in which an epoch visits the training samples; recorded before the epoch's first update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// Places of the samples in the training part, one batch after another.
    pub samples: Vec<usize>,
}

scalars!(Order:);
