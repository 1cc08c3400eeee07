//! Eigenvalues of the Hessian.

use super::prelude::*;

/// Eigenvalues of the Hessian of the training loss after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spectrum {
    /// The largest eigenvalues, largest first; some copies of a repeated one may be missing.
    pub values: Vec<Measured>,
    /// ‖Hv - λv‖ of each: an eigenvalue lies within that distance.
    pub residuals: Vec<Measured>,
    /// The smallest Ritz value.
    pub smallest: Measured,
    /// Its residual.
    pub smallest_residual: Measured,
    /// Hessian-vector products used.
    pub products: usize,
    /// ‖ḡ‖² of the mean loss of the same samples.
    pub grad_norm_sq: Measured,
    /// Fraction of ‖ḡ‖² in the span of the eigenvectors of `values`.
    pub gradient_share: Measured,
    /// Hutchinson's estimate of tr H; missing without random vectors.
    #[serde(default)]
    pub trace: Measured,
    /// Standard error of `trace`.
    #[serde(default)]
    pub trace_error: Measured,
    /// The spectral density by stochastic Lanczos quadrature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// 2 / η
    pub two_over_lr: f64,
    /// Samples behind the Hessian.
    pub samples: usize,
    /// Statistics of batch norm.
    pub batch_norm: BatchNorm,
}

/// A spectral density as weighted points: for each random vector, nodes and weights that sum to 1. The estimate is their
/// mean over the vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Density {
    /// Ritz values, by random vector.
    pub nodes: Vec<Vec<Measured>>,
    /// Their weights.
    pub weights: Vec<Vec<Measured>>,
}

impl Scalars for Spectrum {
    const OPTIONAL: &'static [&'static str] = &["trace", "trace_error"];

    fn scalars(&self) -> Vec<Scalar> {
        let values = self.values.iter().enumerate();
        let mut scalars: Vec<Scalar> =
            values.map(|(k, &value)| Scalar::new(format!("eigenvalue_{}", k + 1), value)).collect();
        scalars.push(Scalar::new("gradient_share", self.gradient_share));
        scalars.push(Scalar::new("trace", self.trace));
        scalars
    }
}
