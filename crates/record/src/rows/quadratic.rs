//! The loss change of an update compared with its quadratic prediction.

use super::prelude::*;

/// The change of the training loss by an update δ = θ_{t+1} - θ_t, and its prediction ḡ·δ + ½ δᵀHδ with the gradient ḡ and the Hessian H of the
/// training loss at θ_t. None of them includes weight decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quadratic {
    /// L(θ_{t+1}) - L(θ_t).
    pub change: Measured,
    /// ḡ·δ
    pub slope: Measured,
    /// δᵀHδ
    pub curvature: Measured,
    /// ‖δ‖²
    pub length_sq: Measured,
    /// Number of samples used.
    pub samples: usize,
    /// Number of training samples.
    pub train_samples: usize,
    /// Batch norm statistics; running ones are those of θ_t at both points.
    pub batch_norm: BatchNorm,
}

impl Quadratic {
    /// ḡ·δ + ½ δᵀHδ
    pub fn predicted(&self) -> Measured {
        (self.slope.or_nan() + 0.5 * self.curvature.or_nan()).into()
    }
}

impl Scalars for Quadratic {
    fn scalars(&self) -> Vec<Scalar> {
        vec![
            Scalar::new("change", self.change),
            Scalar::new("predicted", self.predicted()),
            Scalar::new("slope", self.slope),
            Scalar::new("curvature", self.curvature),
        ]
    }
}
