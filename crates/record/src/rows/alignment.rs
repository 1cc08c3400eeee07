//! Alignment of gradients with the Hessian, for one batch size.

use super::prelude::*;

/// Alignment of the gradients of one batch size with the Hessian after an update; one row per batch size (paper, Eq. 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alignment {
    /// B
    pub batch_size: usize,
    /// Number of batches drawn.
    pub batches: usize,
    /// Mean of gᵀHg / gᵀg over the batches whose gradient is not 0. Neither g nor H includes weight decay.
    pub mean: Measured,
    /// Standard deviation of gᵀHg / gᵀg over batches; missing for one batch.
    pub deviation: Measured,
    /// Standard error of the mean; missing for one batch. The one batch of all samples, `batch_size` = `train_samples`, is exact.
    pub standard_error: Measured,
    /// Mean of gᵀHg over mean of gᵀg.
    pub ratio_of_means: Measured,
    /// Its standard error (delta method); missing for one batch.
    pub ratio_of_means_error: Measured,
    /// The prediction of Eq. 3 for the ratio of means from the full gradient and the other batch sizes; missing if there is
    /// no other size, or if the Hessian is that of the batch.
    #[serde(default)]
    pub predicted: Measured,
    /// Standard error of the prediction, from the spread of the other sizes' batches; missing if these have one batch, and
    /// for the batch of all samples, whose prediction follows from the full gradient alone.
    #[serde(default)]
    pub predicted_error: Measured,
    /// Mean of gᵀg.
    pub grad_norm_sq: Measured,
    /// (2 (1 + m) / η - w) / p for the update's learning rate η, momentum m, weight decay w and p accumulated parts that are added
    /// (otherwise 1), with Nesterov's momentum (2 (1 + m) / ((1 + 2 m) η) - w) / p: above it full-batch gradient descent diverges
    /// along an eigenvector of H. Missing for Adam, which has no such limit on H.
    #[serde(default)]
    pub stability_threshold: Measured,
    /// 2 (1 - m) / η - w: the level at which gᵀH_B g / gᵀg with the batch's own Hessian H_B settles at small batch sizes; missing
    /// for gradient descent, Nesterov's momentum and Adam.
    #[serde(default)]
    pub small_batch_plateau: Measured,
    /// The loss whose Hessian was used.
    pub hessian: HessianOf,
    /// Number of samples used for the Hessian.
    pub hessian_samples: usize,
    /// N: number of training samples.
    pub train_samples: usize,
    /// gᵀHg / gᵀg of each batch; missing if the gradient is 0.
    pub ratios: Vec<Measured>,
}

/// The loss whose Hessian is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HessianOf {
    /// The training loss, as in the paper.
    #[default]
    Full,
    /// The batch's own loss, which gives the batch sharpness.
    Batch,
}

impl Alignment {
    /// Whether there is only one batch of this size, whose mean has no error.
    pub const fn is_exact(&self) -> bool {
        self.batch_size == self.train_samples
    }
}

impl Scalars for Alignment {
    const OPTIONAL: &'static [&'static str] = &[
        "deviation",
        "standard_error",
        "ratio_of_means_error",
        "predicted",
        "predicted_error",
        "stability_threshold",
        "small_batch_plateau",
        "ratios",
    ];

    fn scalars(&self) -> Vec<Scalar> {
        let name = |what: &str| format!("{what}/batch_size_{}", self.batch_size);
        vec![Scalar::new(name("mean"), self.mean), Scalar::new(name("deviation"), self.deviation)]
    }
}
