//! The loss on a plane.

use super::prelude::*;

/// The loss on a plane through the point after an update (Li et al., 2018).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plane {
    /// What spans the plane.
    pub directions: Directions,
    /// Positions along the first direction.
    pub x: Vec<Measured>,
    /// Positions along the second.
    pub y: Vec<Measured>,
    /// Mean loss, a list over x for each y.
    pub losses: Vec<Vec<Measured>>,
    /// Fractions of the trajectory's variance along principal directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<[Measured; 2]>,
    /// The trajectory projected onto the plane of principal directions, first point first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trajectory: Vec<[Measured; 2]>,
    /// In a fork that turns this probe on: the updates of its parents, of which the trajectory has only θ_0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<u64>,
    /// Samples behind each loss.
    pub samples: usize,
    /// Statistics of batch norm.
    pub batch_norm: BatchNorm,
    /// Samples that running statistics were estimated on anew at each position; missing with the statistics of each chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_samples: Option<usize>,
}

/// What spans a plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Directions {
    /// Two random directions, filter-normalized.
    #[default]
    Random,
    /// The first two principal components of the trajectory so far, which the plane then contains with a margin.
    Principal,
}

scalars!(Plane:);
