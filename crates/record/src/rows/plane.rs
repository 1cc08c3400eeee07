//! The loss on a plane.

use super::prelude::*;

/// The loss on a plane through the point after an update (Li et al., 2018).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plane {
    /// The directions that span the plane.
    pub directions: Directions,
    /// Positions along the first direction.
    pub x: Vec<Measured>,
    /// Positions along the second.
    pub y: Vec<Measured>,
    /// Mean loss: one list over x for each y.
    pub losses: Vec<Vec<Measured>>,
    /// Fractions of the trajectory's variance along principal directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<[Measured; 2]>,
    /// The trajectory projected onto the plane of principal directions, first point first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trajectory: Vec<[Measured; 2]>,
    /// In a fork that turns on this probe: the number of updates of its parents, of which the trajectory contains only θ_0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<u64>,
    /// Number of samples in each loss.
    pub samples: usize,
    /// Batch norm statistics.
    pub batch_norm: BatchNorm,
    /// Number of samples used to re-estimate running statistics at each position; missing if each chunk's statistics are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_samples: Option<usize>,
}

/// The directions that span a plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Directions {
    /// Two random directions, filter-normalized.
    #[default]
    Random,
    /// The first two principal components of the trajectory so far; the grid covers the trajectory with a margin.
    Principal,
}

scalars!(Plane:);
