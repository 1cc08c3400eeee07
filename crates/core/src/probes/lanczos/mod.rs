//! The spectrum of a symmetric matrix from matrix-vector products: the Lanczos method with full reorthogonalization.
//!
//! After m steps H Q = Q T + β_m q_{m+1} e_mᵀ with orthonormal Q `[P, m]` and tridiagonal T. An eigenpair (λ, s) of T gives the
//! Ritz pair (λ, Q s) of H with residual ‖H y - λ y‖ = β_m |s_m| (Parlett, The Symmetric Eigenvalue Problem, 1980, 13.2), and
//! some eigenvalue of H lies within that distance of λ. `largest` finds the largest eigenvalues, including repeated ones;
//! `quadrature` gives the trace and the spectral density.

mod krylov;
mod largest;
mod quadrature;
#[cfg(test)]
mod test_support;
mod tridiagonal;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

pub use self::krylov::Eigenpair;
pub use self::largest::{Completeness, Largest, LargestConfig, Ritz, largest_eigenpairs};
pub use self::quadrature::{Quadrature, quadrature};

/// A vector whose direction is uniformly distributed.
pub fn random_direction(n: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..n).map(|_| StandardNormal.sample(rng)).collect()
}

/// What products in f32 leave of a zero, as a fraction of the largest product.
const ROUNDING: f64 = 32.0 * f32::EPSILON as f64;
