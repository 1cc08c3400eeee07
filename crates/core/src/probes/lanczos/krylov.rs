//! The Lanczos recurrence, in the orthogonal complement of known eigenvectors.

use rayon::prelude::*;
use walk_kernels::elementwise::dot;

use super::tridiagonal::{self, Eigen};

/// Elements of a vector per task.
const TASK: usize = 1 << 13;

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

/// An orthonormal basis of a Krylov space and the tridiagonal matrix on it.
pub(super) struct Krylov<'a> {
    /// Eigenpairs that every vector is kept orthogonal to.
    known: &'a [Eigenpair],
    basis: Vec<Vec<f32>>,
    /// The remainder of the last product, not normalized.
    rest: Vec<f32>,
    pub(super) alphas: Vec<f64>,
    /// One per step; the last leads out of the space.
    pub(super) betas: Vec<f64>,
    /// yᵀHq for each basis vector q and each known y.
    couplings: Vec<Vec<f64>>,
    /// The largest ‖Hq‖, a lower bound on ‖H‖.
    pub(super) largest_product: f64,
}

impl<'a> Krylov<'a> {
    /// The space that starts with `start` without its part along `known`.
    pub(super) fn new(start: Vec<f32>, known: &'a [Eigenpair]) -> Self {
        let mut rest = start;
        // the second pass removes what rounding left, and is needed where little is left of the start
        for _ in 0..2 {
            rest = scaled(&rest, 1.0 / dot(&rest, &rest).sqrt());
            remove(&mut rest, known.iter().map(|pair| pair.vector.as_slice()).collect());
        }
        let (alphas, betas, couplings, basis) = (vec![], vec![], vec![], vec![]);
        Self { known, basis, rest, alphas, betas, couplings, largest_product: 0.0 }
    }

    /// Number of steps made.
    pub(super) fn len(&self) -> usize {
        self.basis.len()
    }

    /// Multiplies once more. Returns whether the product is finite.
    ///
    /// # Errors
    /// Those of `product`.
    pub(super) fn step<E>(
        &mut self,
        product: &mut impl FnMut(&[f32]) -> Result<Vec<f32>, E>,
    ) -> Result<bool, E> {
        let norm = dot(&self.rest, &self.rest).sqrt();
        let q = scaled(&self.rest, 1.0 / norm);
        let mut w = product(&q)?;
        self.basis.push(q);
        self.alphas.push(dot(&self.basis[self.basis.len() - 1], &w));
        let product_norm = dot(&w, &w).sqrt();
        self.couplings.push(self.known.iter().map(|pair| dot(&pair.vector, &w)).collect());
        // twice is enough (Parlett, 6.9): the first pass leaves what cancellation made of it
        for _ in 0..2 {
            let known = self.known.iter().map(|pair| pair.vector.as_slice());
            remove(&mut w, known.chain(self.basis.iter().map(Vec::as_slice)).collect());
        }
        self.betas.push(dot(&w, &w).sqrt());
        self.rest = w;
        self.largest_product = self.largest_product.max(product_norm);
        Ok(product_norm.is_finite())
    }

    /// β of the last step.
    pub(super) fn last_beta(&self) -> f64 {
        self.betas[self.betas.len() - 1]
    }

    /// Ritz values with the given components of T's eigenvectors.
    pub(super) fn ritz(&self, components: &[usize]) -> Eigen {
        tridiagonal::eigen(&self.alphas, &self.betas, components)
    }

    /// The Ritz vector of an eigenvector of T, of length P and norm 1.
    pub(super) fn vector(&self, s: &[f64]) -> Vec<f32> {
        let mut vector = vec![0.0f32; self.rest.len()];
        vector.par_chunks_mut(TASK).enumerate().for_each(|(task, part)| {
            let mut sum = vec![0.0f64; part.len()];
            for (q, s) in self.basis.iter().zip(s) {
                sum.iter_mut().zip(&q[task * TASK..]).for_each(|(sum, &q)| *sum += s * f64::from(q));
            }
            part.iter_mut().zip(sum).for_each(|(x, sum)| *x = sum as f32);
        });
        vector
    }

    /// ‖H y - λ y‖ for the Ritz pair of an eigenvector of T: what leads out of the space, and into the known eigenvectors, and
    /// [`Self::rounding`].
    pub(super) fn residual(&self, s: &[f64]) -> f64 {
        let into_known = (0..self.known.len())
            .map(|index| s.iter().zip(&self.couplings).map(|(s, coupling)| s * coupling[index]).sum::<f64>());
        let squares: f64 = into_known.map(|x| x * x).sum();
        squares.sqrt().hypot(self.last_beta() * s[s.len() - 1]).hypot(self.rounding())
    }

    /// The contribution to a residual of rounding the products to f32, which the recurrence does not see.
    pub(super) fn rounding(&self) -> f64 {
        f64::from(f32::EPSILON) * self.largest_product
    }
}

/// Makes `w` orthogonal to orthonormal vectors.
fn remove(w: &mut [f32], vectors: Vec<&[f32]>) {
    let along: Vec<f64> = vectors.par_iter().map(|vector| dot(vector, w)).collect();
    w.par_chunks_mut(TASK).enumerate().for_each(|(task, part)| {
        let mut rest: Vec<f64> = part.iter().map(|&w| w.into()).collect();
        for (vector, along) in vectors.iter().zip(&along) {
            let vector = &vector[task * TASK..];
            rest.iter_mut().zip(vector).for_each(|(rest, &x)| *rest -= along * f64::from(x));
        }
        part.iter_mut().zip(rest).for_each(|(w, rest)| *w = rest as f32);
    });
}

fn scaled(x: &[f32], factor: f64) -> Vec<f32> {
    x.iter().map(|&x| (f64::from(x) * factor) as f32).collect()
}
