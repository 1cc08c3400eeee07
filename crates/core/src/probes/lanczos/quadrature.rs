//! Stochastic Lanczos quadrature: the spectral density seen by one start vector.

use walk_kernels::elementwise::dot;

use super::ROUNDING;
use super::krylov::Krylov;

/// A Gauss quadrature of the spectral density that a vector v sees: Σ w f(λ) is vᵀf(H)v / ‖v‖² for polynomials f up to degree
/// 2m - 1 (Golub & Meurant, 2010).
#[derive(Clone, Debug, PartialEq)]
pub struct Quadrature {
    /// Ritz values, largest first; NaN if a product was not finite.
    pub nodes: Vec<f64>,
    /// The squared first components of T's eigenvectors, which sum to 1; NaN if a product was not finite.
    pub weights: Vec<f64>,
    /// vᵀHv, which the first product gives.
    pub form: f64,
    /// Products with H made.
    pub products: usize,
}

/// Makes up to `steps` steps from `start`, of length P and not 0. It ends early if the Krylov space of `start` is exhausted:
/// the quadrature is then exact.
///
/// # Errors
/// Those of `product`.
pub fn quadrature<E>(
    steps: usize,
    start: &[f32],
    mut product: impl FnMut(&[f32]) -> Result<Vec<f32>, E>,
) -> Result<Quadrature, E> {
    let mut krylov = Krylov::new(start.to_vec(), &[]);
    let mut is_finite = true;
    for _ in 0..steps.clamp(1, start.len()) {
        is_finite = krylov.step(&mut product)?;
        if !is_finite || krylov.last_beta() <= ROUNDING * krylov.largest_product {
            break;
        }
    }
    let (form, products) = (krylov.alphas[0] * dot(start, start), krylov.len());
    if !is_finite {
        let missing = vec![f64::NAN; products];
        return Ok(Quadrature { nodes: missing.clone(), weights: missing, form, products });
    }
    let ritz = krylov.ritz(&[0]);
    let weights = ritz.vectors.iter().map(|s| s[0] * s[0]).collect();
    Ok(Quadrature { nodes: ritz.values, weights, form, products })
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{product, spectrum};
    use super::*;

    #[test]
    fn all_steps_give_the_whole_spectrum_and_a_quadrature_of_its_moments() {
        let (values, u, start) = spectrum(30);
        let found = quadrature::<()>(1000, &start, |x| Ok(product(&values, &u, x))).unwrap();
        let mut expected = values.clone();
        expected.sort_by(|a, b| b.total_cmp(a));
        assert_eq!((found.nodes.len(), found.products), (30, 30));
        assert!(found.nodes.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 2e-5));
        assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // Σ w λ = startᵀ H start / ‖start‖²
        let first: f64 = found.weights.iter().zip(&found.nodes).map(|(w, v)| w * v).sum();
        let direct = dot(&start, &product(&values, &u, &start));
        assert!((first * dot(&start, &start) - direct).abs() < 1e-5 * direct.abs());
        assert!((found.form - direct).abs() < 1e-5 * direct.abs());
    }

    #[test]
    fn a_start_in_an_invariant_space_ends_there() {
        let values = [3.0, 2.0, 1.0, 0.5];
        let start = [1.0, 1.0, 0.0, 0.0];
        let found = quadrature::<()>(4, &start, |x| Ok(product(&values, &[0.0; 4], x))).unwrap();
        assert_eq!(found.products, 2);
        assert!((found.nodes[0] - 3.0).abs() < 1e-6 && (found.nodes[1] - 2.0).abs() < 1e-6);
        let zero = quadrature::<()>(4, &start, |x| Ok(vec![0.0; x.len()])).unwrap();
        assert_eq!((zero.nodes, zero.weights, zero.products), (vec![0.0], vec![1.0], 1));
    }

    #[test]
    fn a_product_that_is_not_finite_leaves_the_form_if_it_comes_later() {
        let mut made = 0;
        let found = quadrature::<()>(4, &[1.0, 2.0, 2.0], |x| {
            made += 1;
            Ok(if made < 2 { vec![2.0 * x[0], x[1], x[2]] } else { vec![f32::NAN; 3] })
        });
        let found = found.unwrap();
        assert!(found.nodes.len() == 2 && found.nodes.iter().chain(&found.weights).all(|x| x.is_nan()));
        assert!((found.form - 10.0).abs() < 1e-5);
    }
}
