//! Eigenvalues of the Hessian.

use super::prelude::*;

/// Eigenvalues of the Hessian of the training loss, without weight decay, after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spectrum {
    /// The largest eigenvalues, largest first, each as often as it comes.
    pub values: Vec<Measured>,
    /// ‖Hv - λv‖ of each, with what rounding the products to f32 adds: an eigenvalue lies within that distance.
    pub residuals: Vec<Measured>,
    /// Number of eigenvalues asked for.
    pub asked: usize,
    /// Whether `values` are all that were asked for.
    pub completeness: Completeness,
    /// The smallest Ritz value.
    pub smallest: Measured,
    /// Its residual.
    pub smallest_residual: Measured,
    /// Hessian-vector products used.
    pub products: usize,
    /// ‖ḡ‖² of the mean loss of the same samples.
    pub grad_norm_sq: Measured,
    /// Fraction of ‖ḡ‖² in the span of the eigenvectors of `values`; missing where ḡ is 0.
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
    /// 2 (1 - m) / η - w: where the sharpness of batches settles at small batch sizes; missing in gradient descent.
    #[serde(default)]
    pub small_batch_plateau: Measured,
    /// Samples behind the Hessian.
    pub samples: usize,
    /// Samples of the training part.
    pub train_samples: usize,
    /// The eigenvalues of several subsets of `samples` samples; without it, how far a subset's eigenvalues lie from those of the
    /// training part is not known, unless it is the training part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsets: Option<Subsets>,
    /// Statistics of batch norm.
    pub batch_norm: BatchNorm,
}

/// Whether all eigenvalues asked for were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// As many as asked for, and with a probability of 99.9% no other is larger than the last by more than the tolerance.
    Verified,
    /// Fewer than asked for: the Hessian has no more, or the others are 0 to within the tolerance.
    AllNonzero,
    /// The limit on products came first: a residual may be large, or an eigenvalue missing.
    Unverified,
    /// A product with the Hessian was not finite.
    Undefined,
}

/// The largest eigenvalues of disjoint subsets of the training part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subsets {
    /// Those of each subset, largest first; the first subset's are the row's `values`.
    pub values: Vec<Vec<Measured>>,
    /// The standard deviation over subsets of the largest, the second largest, and so on: how far one subset's value may lie
    /// from another's, as many as each has. It does not show that the largest eigenvalues of few samples are too large on average.
    pub deviations: Vec<Measured>,
}

/// A spectral density as weighted points: for each random vector, nodes and weights that sum to 1. The estimate is their
/// mean over the vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Density {
    /// Ritz values, by random vector; missing for one whose products are not finite.
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
