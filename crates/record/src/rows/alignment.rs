//! How gradients of one batch size align with the Hessian.

use super::prelude::*;

/// How gradients of one batch size align with the Hessian after an update; one row per batch size (paper, Eq. 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alignment {
    /// B
    pub batch_size: usize,
    /// Batches drawn.
    pub batches: usize,
    /// Mean of gᵀHg / gᵀg over the batches.
    pub mean: Measured,
    /// Its standard deviation over batches.
    pub deviation: Measured,
    /// Standard error of the mean.
    pub standard_error: Measured,
    /// Mean of gᵀHg over mean of gᵀg.
    pub ratio_of_means: Measured,
    /// Its standard error (delta method).
    pub ratio_of_means_error: Measured,
    /// What Eq. 3 predicts for the ratio of means from the full gradient and the other batch sizes; missing where there is
    /// no other size, or the Hessian is the batch's own.
    #[serde(default)]
    pub predicted: Measured,
    /// Standard error of the prediction, from the spread of the other sizes' batches.
    #[serde(default)]
    pub predicted_error: Measured,
    /// Mean of gᵀg.
    pub grad_norm_sq: Measured,
    /// 2 / η
    pub two_over_lr: f64,
    /// The loss whose Hessian was used.
    pub hessian: HessianOf,
    /// Samples behind the Hessian.
    pub hessian_samples: usize,
    /// gᵀHg / gᵀg of each batch.
    pub ratios: Vec<Measured>,
}

/// The loss whose Hessian is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HessianOf {
    /// The training loss: the paper's choice.
    #[default]
    Full,
    /// The batch's own loss: batch sharpness.
    Batch,
}

impl Scalars for Alignment {
    const OPTIONAL: &'static [&'static str] =
        &["deviation", "standard_error", "ratio_of_means_error", "predicted", "predicted_error"];

    fn scalars(&self) -> Vec<Scalar> {
        let name = |what: &str| format!("{what}/batch_size_{}", self.batch_size);
        vec![Scalar::new(name("mean"), self.mean), Scalar::new(name("deviation"), self.deviation)]
    }
}
