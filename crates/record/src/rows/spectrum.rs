//! Eigenvalues of the Hessian and of matrices like it.

use super::prelude::*;

/// Eigenvalues of the Hessian of the training loss, or of a matrix like it, after an update; one row per matrix and block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spectrum {
    /// The matrix.
    #[serde(default)]
    pub matrix: Matrix,
    /// The parameters whose diagonal block of the matrix was used, as a pattern in which `*` stands for any text; `*` for the whole
    /// matrix.
    #[serde(default = "all_parameters")]
    pub parameters: String,
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
    /// Number of matrix-vector products used.
    pub products: usize,
    /// ‖ḡ‖² of the mean loss of the same samples, for the block's parameters; of P^-1/2 ḡ for the preconditioned matrix.
    pub grad_norm_sq: Measured,
    /// Fraction of ‖ḡ‖² in the span of the eigenvectors of `values`; missing if ḡ is 0.
    pub gradient_share: Measured,
    /// uᵀCu for the eigenvector u of each of `values` and the covariance C of per-sample gradients: the variance of the gradients along
    /// u; for the preconditioned matrix, of the gradients multiplied by P^-1/2. Only if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_noise: Option<Vec<Measured>>,
    /// Hutchinson's estimate of the trace; missing without random vectors.
    #[serde(default)]
    pub trace: Measured,
    /// Standard error of `trace`; missing for one random vector.
    #[serde(default)]
    pub trace_error: Measured,
    /// The spectral density by stochastic Lanczos quadrature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// Full-batch training at the update's learning rate η diverges on a quadratic whose largest eigenvalue is above it. For the
    /// Hessian and SGD, (2 (1 + m) / η - w) / p for momentum m, weight decay w and p accumulated parts that are added (otherwise 1);
    /// with Nesterov's momentum, (2 (1 + m) / ((1 + 2 m) η) - w) / p. For the preconditioned matrix, with P frozen,
    /// 2 (1 + β₁) / ((1 - β₁) η) for Adam and (1 + β₁) (2 - η w) / ((1 - β₁) η) for AdamW. Missing for other matrices and blocks.
    #[serde(default)]
    pub stability_threshold: Measured,
    /// 2 (1 - m) / η - w: the level at which the sharpness of batches settles at small batch sizes; missing for gradient descent,
    /// Nesterov's momentum, Adam, and matrices other than the whole Hessian.
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

fn all_parameters() -> String {
    ALL_PARAMETERS.into()
}

/// The pattern of all parameters.
pub const ALL_PARAMETERS: &str = "*";

/// A symmetric matrix of the size of θ, of the mean loss of samples without weight decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Matrix {
    /// H, the Hessian.
    #[default]
    Hessian,
    /// G = mean of J_iᵀ ∇²ℓ(z_i) J_i with the Jacobian J_i of a sample's outputs z_i: the Hessian without the terms from the second derivatives of the network.
    /// For cross-entropy it is the Fisher information.
    GaussNewton,
    /// F = mean of ∇ℓ_i ∇ℓ_iᵀ at the samples' own labels. It needs per-sample gradients.
    EmpiricalFisher,
    /// P^-1/2 (p H + w I) P^-1/2 for Adam with weight decay w, P^-1/2 p H P^-1/2 for AdamW, with the preconditioner P after the update
    /// and p accumulated parts that are added (otherwise 1): the matrix whose largest eigenvalue limits training (Cohen et al.,
    /// 2022).
    Preconditioned,
}

impl Matrix {
    /// Its name in texts.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Hessian => "Hessian",
            Self::GaussNewton => "Gauss-Newton",
            Self::EmpiricalFisher => "empirical Fisher",
            Self::Preconditioned => "preconditioned Hessian",
        }
    }
}

impl Spectrum {
    /// Whether it is of a whole matrix.
    pub fn is_whole(&self) -> bool {
        self.parameters == ALL_PARAMETERS
    }

    /// Whether it is of the whole `matrix`.
    pub fn is_of(&self, matrix: Matrix) -> bool {
        self.matrix == matrix && self.is_whole()
    }

    /// The matrix and, if only a part was used, its parameters; empty for the whole Hessian.
    pub fn subject(&self) -> String {
        match (self.matrix, self.is_whole()) {
            (Matrix::Hessian, true) => String::new(),
            (matrix, true) => matrix.text().into(),
            (Matrix::Hessian, false) => self.parameters.clone(),
            (matrix, false) => format!("{}, {}", matrix.text(), self.parameters),
        }
    }
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
    const OPTIONAL: &'static [&'static str] =
        &["gradient_share", "trace", "trace_error", "stability_threshold", "small_batch_plateau"];

    fn scalars(&self) -> Vec<Scalar> {
        let subject = self.subject();
        let name =
            |scalar: &str| if subject.is_empty() { scalar.into() } else { format!("{scalar}/{subject}") };
        let values = self.values.iter().enumerate();
        let mut scalars: Vec<Scalar> =
            values.map(|(k, &value)| Scalar::new(name(&format!("eigenvalue_{}", k + 1)), value)).collect();
        scalars.push(Scalar::new(name("gradient_share"), self.gradient_share));
        scalars.push(Scalar::new(name("trace"), self.trace));
        scalars
    }
}
