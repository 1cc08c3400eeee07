//! Eigenvalues of the Hessian.

use super::prelude::*;

/// Eigenvalues of the Hessian of the training loss, without weight decay, after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spectrum {
    /// The largest eigenvalues, largest first, repeated by multiplicity.
    pub values: Vec<Measured>,
    /// ‖Hv - λv‖ of each, including the rounding of products to f32: an eigenvalue lies within this distance.
    pub residuals: Vec<Measured>,
    /// Number of eigenvalues requested.
    pub asked: usize,
    /// Whether `values` are all the requested ones.
    pub completeness: Completeness,
    /// The smallest Ritz value.
    pub smallest: Measured,
    /// Its residual.
    pub smallest_residual: Measured,
    /// Number of Hessian-vector products used.
    pub products: usize,
    /// ‖ḡ‖² of the mean loss of the same samples.
    pub grad_norm_sq: Measured,
    /// Fraction of ‖ḡ‖² in the span of the eigenvectors of `values`; missing if ḡ is 0.
    pub gradient_share: Measured,
    /// Hutchinson's estimate of tr H; missing without random vectors.
    #[serde(default)]
    pub trace: Measured,
    /// Standard error of `trace`; missing for one random vector.
    #[serde(default)]
    pub trace_error: Measured,
    /// The spectral density by stochastic Lanczos quadrature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// (2 (1 + m) / η - w) / p for momentum m, weight decay w and p accumulated parts that are added (otherwise 1): full-batch
    /// gradient descent diverges on a quadratic whose largest eigenvalue is above it.
    pub stability_threshold: Measured,
    /// 2 (1 - m) / η - w: the level at which the sharpness of batches settles at small batch sizes; missing for gradient descent.
    #[serde(default)]
    pub small_batch_plateau: Measured,
    /// Number of samples used for the Hessian.
    pub samples: usize,
    /// Number of training samples.
    pub train_samples: usize,
    /// The eigenvalues of several subsets of `samples` samples; without them, the difference between the eigenvalues of a subset
    /// and those of all training samples is unknown, unless the subset is all training samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsets: Option<Subsets>,
    /// Batch norm statistics.
    pub batch_norm: BatchNorm,
}

/// Whether all requested eigenvalues were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// All requested ones were found, and with a probability of 99.9% no other exceeds the last by more than the tolerance.
    Verified,
    /// Fewer than requested: the Hessian has no more, or the others are 0 within the tolerance.
    AllNonzero,
    /// The limit on products was reached: a residual may be large, or an eigenvalue missing.
    Unverified,
    /// A product with the Hessian was not finite.
    Undefined,
}

/// The largest eigenvalues of disjoint subsets of the training samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subsets {
    /// The eigenvalues of each subset, largest first; those of the first subset are the row's `values`.
    pub values: Vec<Vec<Measured>>,
    /// The standard deviation over subsets of the largest, the second largest, and so on, as many as every subset has: how far
    /// one subset's value may lie from another's. It does not show that the largest eigenvalues of few samples are too large on
    /// average.
    pub deviations: Vec<Measured>,
}

/// A spectral density as weighted points: for each random vector, nodes and weights that sum to 1. The estimate is their
/// mean over the vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Density {
    /// Ritz values, by random vector; missing for a vector whose products are not finite.
    pub nodes: Vec<Vec<Measured>>,
    /// Their weights.
    pub weights: Vec<Vec<Measured>>,
}

impl Scalars for Spectrum {
    const OPTIONAL: &'static [&'static str] = &["trace", "trace_error", "small_batch_plateau"];

    fn scalars(&self) -> Vec<Scalar> {
        let values = self.values.iter().enumerate();
        let mut scalars: Vec<Scalar> =
            values.map(|(k, &value)| Scalar::new(format!("eigenvalue_{}", k + 1), value)).collect();
        scalars.push(Scalar::new("gradient_share", self.gradient_share));
        scalars.push(Scalar::new("trace", self.trace));
        scalars
    }
}
