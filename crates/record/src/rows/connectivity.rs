//! Linear mode connectivity of two copies of one run.

use super::prelude::*;

/// The loss along the line between the run and its twin, which split from it earlier and was trained on different batches since
/// (Frankle et al., 2020, arXiv 1912.05671); one row per twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connectivity {
    /// The update after which the twin split from the run; 0 for the initial point.
    pub split_after: u64,
    /// ‖θ - θ'‖₂ between the run and its twin.
    pub distance: Measured,
    /// The cosine of the angle between their displacements from the point where they split.
    pub cosine: Measured,
    /// Positions, from 0 (the run) to 1 (the twin).
    pub alphas: Vec<f64>,
    /// Mean loss at each position.
    pub losses: Vec<Measured>,
    /// Fraction of the samples misclassified at each position.
    pub errors: Vec<Measured>,
    /// Largest loss minus the mean of the endpoints.
    pub loss_barrier: Measured,
    /// Largest error minus the mean of the errors at the endpoints.
    pub error_barrier: Measured,
    /// Number of samples in each loss.
    pub samples: usize,
    /// Batch norm statistics.
    pub batch_norm: BatchNorm,
    /// Number of samples used to re-estimate running statistics at each position; missing if each chunk's statistics are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_samples: Option<usize>,
}

impl Scalars for Connectivity {
    const OPTIONAL: &'static [&'static str] = &["cosine"];

    fn scalars(&self) -> Vec<Scalar> {
        let name = |what: &str| format!("{what}/split_after_{}", self.split_after);
        vec![
            Scalar::new(name("loss_barrier"), self.loss_barrier),
            Scalar::new(name("error_barrier"), self.error_barrier),
            Scalar::new(name("distance"), self.distance),
            Scalar::new(name("cosine"), self.cosine),
        ]
    }
}
