//! An eigenvalue with its vector.

/// An eigenvalue, a vector of norm 1, and ‖H y - λ y‖.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigenpair {
    /// λ
    pub value: f64,
    /// An eigenvalue of H lies within this distance of λ.
    pub residual: f64,
    /// y, of length P.
    pub vector: Vec<f32>,
}
