//! Initializers of parameters.

use serde::{Deserialize, Serialize};

/// The distribution of a parameter tensor's initial values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// The same value everywhere.
    Constant(f32),
    /// U(low, high).
    Uniform {
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
    /// N(0, std²).
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// U(-1/√fan_in, 1/√fan_in), as PyTorch's `Linear` initializes weight and bias.
    FanIn,
    /// N(0, 2/fan_out), with fan_out = kernel height x width x out_channels, as the paper's authors initialized
    /// convolutions.
    FanOut,
}
