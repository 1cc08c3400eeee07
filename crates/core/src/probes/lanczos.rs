//! The spectrum of a symmetric matrix from products with it: Lanczos' method with full reorthogonalisation.
//!
//! After m steps H Q = Q T + β_m q_{m+1} e_mᵀ with orthonormal Q `[P, m]` and tridiagonal T. An eigenpair (λ, s) of T gives the
//! Ritz pair (λ, Q s) of H with residual ‖H y - λ y‖ = β_m |s_m| (Parlett, The Symmetric Eigenvalue Problem, 1980, 13.2), and
//! some eigenvalue of H lies within that distance of λ. Of a repeated eigenvalue some copies are found, thanks to rounding:
//! exact arithmetic would find one.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use walk_kernels::elementwise::dot;

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LanczosConfig {
    /// Limit on products.
    pub steps: usize,
    /// Number of largest eigenvalues to find; 0 makes all the steps.
    pub values: usize,
    /// Stop once each of their residuals is below this fraction of the largest.
    pub tolerance: f64,
}

/// The result of the steps made.
#[derive(Clone, Debug)]
pub struct Lanczos {
    /// Q's columns.
    basis: Vec<Vec<f32>>,
    /// Ritz values, largest first.
    pub values: Vec<f64>,
    /// Residual of each.
    pub residuals: Vec<f64>,
    /// The squared first component of each value's eigenvector of T: the weights of a quadrature over H's spectral density
    /// as the start vector sees it. They sum to 1.
    pub weights: Vec<f64>,
    /// Eigenvectors of T, one per value.
    vectors: Vec<Vec<f64>>,
}

impl Lanczos {
    /// Products with H made.
    pub fn steps(&self) -> usize {
        self.basis.len()
    }

    /// The Ritz vector of value `index`, of length P and norm 1.
    pub fn vector(&self, index: usize) -> Vec<f32> {
        let mut sum = vec![0.0f64; self.basis[0].len()];
        for (q, &s) in self.basis.iter().zip(&self.vectors[index]) {
            sum.par_iter_mut().zip(q).for_each(|(sum, &q)| *sum += s * f64::from(q));
        }
        sum.into_iter().map(|x| x as f32).collect()
    }
}

/// Starts at `start`, of length P and not 0, and multiplies by H = `product`. If a product is not finite, nor is any value.
///
/// # Errors
/// Those of `product`.
pub fn lanczos<E>(
    config: LanczosConfig,
    start: &[f32],
    mut product: impl FnMut(&[f32]) -> Result<Vec<f32>, E>,
) -> Result<Lanczos, E> {
    let (mut alphas, mut betas): (Vec<f64>, Vec<f64>) = (vec![], vec![]);
    let mut basis = vec![scaled(start, 1.0 / dot(start, start).sqrt())];
    let most = config.steps.clamp(1, start.len());
    loop {
        let q = &basis[basis.len() - 1];
        let mut w = product(q)?;
        alphas.push(dot(q, &w));
        let size = dot(&w, &w).sqrt();
        // twice is enough (Parlett, 6.9): the first pass leaves what cancellation made of it
        for _ in 0..2 {
            for q in &basis {
                let along = dot(q, &w);
                w.par_iter_mut()
                    .zip(q)
                    .for_each(|(w, &q)| *w = (f64::from(*w) - along * f64::from(q)) as f32);
            }
        }
        let beta = dot(&w, &w).sqrt();
        betas.push(beta);
        if !(alphas[alphas.len() - 1].is_finite() && beta.is_finite()) {
            let (missing, vectors) = (vec![f64::NAN; basis.len()], vec![vec![0.0; basis.len()]; basis.len()]);
            let (values, residuals) = (missing.clone(), missing.clone());
            return Ok(Lanczos { basis, values, residuals, weights: missing, vectors });
        }
        let ritz = ritz(&alphas, &betas);
        let done = alphas.len() >= most
            // the rest is rounding: Q spans an invariant space
            || beta <= 1e-6 * size
            || (config.values > 0 && alphas.len() >= config.values && {
                let largest = ritz.values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
                ritz.residuals[..config.values].iter().all(|&r| r <= config.tolerance * largest)
            });
        if done {
            let Ritz { values, residuals, weights, vectors } = ritz;
            return Ok(Lanczos { basis, values, residuals, weights, vectors });
        }
        basis.push(scaled(&w, 1.0 / beta));
    }
}

/// Eigenpairs of T, largest first.
struct Ritz {
    values: Vec<f64>,
    residuals: Vec<f64>,
    weights: Vec<f64>,
    vectors: Vec<Vec<f64>>,
}

fn ritz(alphas: &[f64], betas: &[f64]) -> Ritz {
    let m = alphas.len();
    let entry = |i: usize, j: usize| match i.abs_diff(j) {
        0 => alphas[i],
        1 => betas[i.min(j)],
        _ => 0.0,
    };
    let eigen = SymmetricEigen::new(DMatrix::from_fn(m, m, entry));
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let vectors: Vec<Vec<f64>> =
        order.iter().map(|&i| eigen.eigenvectors.column(i).iter().copied().collect()).collect();
    Ritz {
        values: order.iter().map(|&i| eigen.eigenvalues[i]).collect(),
        residuals: vectors.iter().map(|s| betas[m - 1] * s[m - 1].abs()).collect(),
        weights: vectors.iter().map(|s| s[0] * s[0]).collect(),
        vectors,
    }
}

fn scaled(x: &[f32], factor: f64) -> Vec<f32> {
    x.iter().map(|&x| (f64::from(x) * factor) as f32).collect()
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::{Seed, Stream};

    /// H = D - 2 (D u) uᵀ ..., that is R D R for the reflection R = 1 - 2 u uᵀ: eigenvalues D, eigenvectors R e_i.
    fn product(values: &[f64], u: &[f64], x: &[f32]) -> Vec<f32> {
        let reflect = |x: Vec<f64>| {
            let along: f64 = x.iter().zip(u).map(|(x, u)| x * u).sum();
            x.iter().zip(u).map(|(x, u)| x - 2.0 * along * u).collect::<Vec<f64>>()
        };
        let x = reflect(x.iter().map(|&x| x.into()).collect());
        let y = reflect(x.iter().zip(values).map(|(x, value)| x * value).collect());
        y.into_iter().map(|y| y as f32).collect()
    }

    fn spectrum() -> (Vec<f64>, Vec<f64>, Vec<f32>) {
        let mut rng = Seed(5).rng(Stream::Spectrum, []);
        let mut values: Vec<f64> = (0..200).map(|_| rng.gen_range(-1.0..1.0)).collect();
        values[..5].copy_from_slice(&[40.0, 20.0, 10.0, 9.0, 5.0]);
        let mut u: Vec<f64> = (0..200).map(|_| rng.gen_range(-1.0..1.0)).collect();
        let norm = u.iter().map(|x| x * x).sum::<f64>().sqrt();
        u.iter_mut().for_each(|x| *x /= norm);
        (values, u, (0..200).map(|_| rng.gen_range(-1.0..1.0)).collect())
    }

    #[test]
    fn the_largest_eigenvalues_and_their_residuals_are_right() {
        let (values, u, start) = spectrum();
        let config = LanczosConfig { steps: 100, values: 5, tolerance: 1e-5 };
        let found = lanczos::<()>(config, &start, |x| Ok(product(&values, &u, x))).unwrap();
        assert!(found.steps() < 60, "{}", found.steps());
        for (index, expected) in [40.0, 20.0, 10.0, 9.0, 5.0].into_iter().enumerate() {
            // an eigenvalue lies within the residual, plus the rounding of f32 products of size 40
            let error = (found.values[index] - expected).abs();
            assert!(error <= found.residuals[index] + 4e-6, "{index}: {error:e}");
            assert!(found.residuals[index] <= 1e-5 * 40.0);
            let vector = found.vector(index);
            let off: f64 = product(&values, &u, &vector)
                .iter()
                .zip(&vector)
                .map(|(h, v)| (f64::from(*h) - found.values[index] * f64::from(*v)).powi(2))
                .sum();
            assert!((off.sqrt() - found.residuals[index]).abs() < 2e-5, "{index}: {off:e}");
        }
    }

    #[test]
    fn all_steps_give_the_whole_spectrum_and_a_quadrature_of_its_moments() {
        let (values, u, start) = spectrum();
        let (values, u, start) = (&values[..30], &u[..30], &start[..30]);
        let norm = u.iter().map(|x| x * x).sum::<f64>().sqrt();
        let u: Vec<f64> = u.iter().map(|x| x / norm).collect();
        let config = LanczosConfig { steps: 1000, values: 0, tolerance: 0.0 };
        let found = lanczos::<()>(config, start, |x| Ok(product(values, &u, x))).unwrap();
        let mut expected = values.to_vec();
        expected.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(found.values.len(), 30);
        assert!(found.values.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 2e-5));
        assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // Σ w λ = startᵀ H start / ‖start‖²
        let first: f64 = found.weights.iter().zip(&found.values).map(|(w, v)| w * v).sum();
        let direct = dot(start, &product(values, &u, start)) / dot(start, start);
        assert!((first - direct).abs() < 1e-5);
    }

    #[test]
    fn a_product_that_is_not_finite_leaves_no_value() {
        let config = LanczosConfig { steps: 4, values: 1, tolerance: 0.1 };
        let found = lanczos::<()>(config, &[1.0, 2.0], |_| Ok(vec![f32::NAN, 1.0])).unwrap();
        assert!(found.values.iter().all(|value| value.is_nan()));
    }

    #[test]
    fn a_start_in_an_invariant_space_ends_there() {
        let values = [3.0, 2.0, 1.0, 0.5];
        let start = [1.0, 1.0, 0.0, 0.0];
        let config = LanczosConfig { steps: 4, values: 0, tolerance: 0.0 };
        let found = lanczos::<()>(config, &start, |x| Ok(product(&values, &[0.0; 4], x))).unwrap();
        assert_eq!(found.steps(), 2);
        assert!((found.values[0] - 3.0).abs() < 1e-6 && (found.values[1] - 2.0).abs() < 1e-6);
    }
}
