//! The choice of a convolution's algorithm.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_kernels::conv::{Algorithm, ConvShape};

/// How convolutions are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Convolution {
    /// With the fastest algorithm: Winograd's where it is faster, which has a larger rounding error (see docs/PERFORMANCE.md).
    #[default]
    Fast,
    /// As plain sums of products.
    Plain,
}

impl Convolution {
    pub(super) fn algorithm(self, shape: &ConvShape) -> Algorithm {
        match self {
            Self::Fast => Algorithm::fastest(shape),
            Self::Plain => Algorithm::plain(shape),
        }
    }
}
