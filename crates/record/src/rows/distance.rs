//! The distance of θ from its initial value or another point.

use super::prelude::*;

/// The distance of θ from its initial value or another point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// ‖θ - θ_0‖₂ after the update.
    pub distance: Measured,
    /// The point of another run that the following are about, a checkpoint file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<OtherPoint>,
}

/// Distance and angle to a point of another run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OtherPoint {
    /// Its file.
    pub file: String,
    /// ‖θ - θ'‖₂
    pub distance: Measured,
    /// The cosine of the angle between θ - θ_0 and θ' - θ_0; missing if one of them is 0.
    pub cosine: Measured,
}

impl Scalars for Distance {
    const OPTIONAL: &'static [&'static str] = &["cosine"];

    fn scalars(&self) -> Vec<Scalar> {
        let own = Scalar::new("distance", self.distance);
        let other = self.other.iter().flat_map(|other| {
            [Scalar::new("distance_to_other", other.distance), Scalar::new("cosine_with_other", other.cosine)]
        });
        [own].into_iter().chain(other).collect()
    }
}
