//! Eigenvalues of a symmetric tridiagonal matrix, and bounds on what the Lanczos method may have missed.

/// Maximum number of rotations per eigenvalue; two or three are typical.
const MAX_ROTATIONS: usize = 100;

/// Eigenpairs of a tridiagonal matrix, largest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Eigen {
    pub(super) values: Vec<f64>,
    /// Of each eigenvector, the components asked for.
    pub(super) vectors: Vec<Vec<f64>>,
}

/// Eigenvalues of the matrix with diagonal α `[m]` and off-diagonal β `[m - 1]`, and of its eigenvectors the components
/// `components`, by QL with implicit shifts (Dubrulle, Martin & Wilkinson, 1968; EISPACK's tql2). It takes O(m²) operations
/// for a fixed number of components.
pub(super) fn eigen(alphas: &[f64], betas: &[f64], components: &[usize]) -> Eigen {
    let m = alphas.len();
    let mut d = alphas.to_vec();
    let mut e = betas[..m - 1].to_vec();
    e.push(0.0);
    let unit = |column| components.iter().map(|&row| f64::from(u8::from(row == column))).collect();
    let mut vectors: Vec<Vec<f64>> = (0..m).map(unit).collect();
    let norm = d.iter().chain(&e).fold(0.0f64, |most, x| most.max(x.abs()));
    for low in 0..m {
        for _ in 0..MAX_ROTATIONS {
            let is_small = |i: &usize| {
                let around = d[*i].abs() + d[i + 1].abs();
                e[*i].abs() <= f64::EPSILON * around.max(f64::EPSILON * norm)
            };
            let high = (low..m - 1).find(is_small).unwrap_or(m - 1);
            if high == low {
                break;
            }
            rotate(&mut d, &mut e, &mut vectors, low, high);
        }
    }
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|&a, &b| d[b].total_cmp(&d[a]));
    Eigen {
        values: order.iter().map(|&i| d[i]).collect(),
        vectors: order.iter().map(|&i| std::mem::take(&mut vectors[i])).collect(),
    }
}

/// One implicit QL step on the unreduced block from `low` to `high`.
fn rotate(d: &mut [f64], e: &mut [f64], vectors: &mut [Vec<f64>], low: usize, high: usize) {
    let g = (d[low + 1] - d[low]) / (2.0 * e[low]);
    let mut g = d[high] - d[low] + e[low] / (g + 1f64.hypot(g).copysign(g));
    let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
    for i in (low..high).rev() {
        let (f, b) = (s * e[i], c * e[i]);
        let r = f.hypot(g);
        e[i + 1] = r;
        if r == 0.0 {
            // the block splits here
            d[i + 1] -= p;
            e[high] = 0.0;
            return;
        }
        (s, c) = (f / r, g / r);
        g = d[i + 1] - p;
        let r = (d[i] - g) * s + 2.0 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        let (left, right) = vectors.split_at_mut(i + 1);
        for (left, right) in left[i].iter_mut().zip(&mut right[0]) {
            (*left, *right) = (c * *left - s * *right, s * *left + c * *right);
        }
    }
    d[low] -= p;
    e[low] = g;
    e[high] = 0.0;
}

/// Σ ln((x - θ_j) / β_j) over the Ritz values θ of T with diagonal α `[m]` and off-diagonal β `[m]`, the last of which leads out
/// of the Krylov space; `None` unless all Ritz values are below `x`.
///
/// An eigenvector u of H with eigenvalue M has in the next Lanczos vector the component c Π (M - θ_j) / β_j, where c is the
/// start's (both of norm 1), and that is at most 1. So M < x if c exceeds e to the minus this sum.
pub(super) fn log_growth(alphas: &[f64], betas: &[f64], x: f64) -> Option<f64> {
    let (mut sum, mut coupling) = (0.0, 0.0);
    for (alpha, beta) in alphas.iter().zip(betas) {
        // pivots of x - T: all positive if and only if no eigenvalue reaches x (Sylvester)
        let pivot = x - alpha - coupling;
        if pivot <= 0.0 {
            return None;
        }
        sum += (pivot / beta).ln();
        coupling = beta * beta / pivot;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, SymmetricEigen};
    use proptest::prelude::*;

    use super::*;

    fn matrix(alphas: &[f64], betas: &[f64]) -> DMatrix<f64> {
        DMatrix::from_fn(alphas.len(), alphas.len(), |i, j| match i.abs_diff(j) {
            0 => alphas[i],
            1 => betas[i.min(j)],
            _ => 0.0,
        })
    }

    /// Entries of very different sizes, zeros among them.
    fn entry() -> impl Strategy<Value = f64> {
        prop_oneof![Just(0.0), -1.0..1.0, (-1.0..1.0).prop_map(|x: f64| x * 1e-9), Just(1.0)]
    }

    proptest! {
        #[test]
        fn eigenpairs_are_those_of_the_dense_matrix(
            (alphas, betas) in (1usize..40).prop_flat_map(|m| {
                (proptest::collection::vec(entry(), m), proptest::collection::vec(entry(), m - 1))
            }),
        ) {
            let (m, t) = (alphas.len(), matrix(&alphas, &betas));
            let all: Vec<usize> = (0..m).collect();
            let found = eigen(&alphas, &betas, &all);
            let mut expected: Vec<f64> = SymmetricEigen::new(t.clone()).eigenvalues.iter().copied().collect();
            expected.sort_by(|a, b| b.total_cmp(a));
            let s = DMatrix::from_fn(m, m, |i, j| found.vectors[j][i]);
            let lambda = DMatrix::from_diagonal(&found.values.clone().into());
            // norms are at most 3; both methods are backward stable
            for (a, b) in found.values.iter().zip(&expected) {
                prop_assert!((a - b).abs() < 1e-12, "{a} {b}");
            }
            prop_assert!((&t * &s - &s * lambda).amax() < 1e-12);
            prop_assert!((s.transpose() * &s - DMatrix::identity(m, m)).amax() < 1e-12);
            let ends = eigen(&alphas, &betas, &[0, m - 1]);
            for (ends, whole) in ends.vectors.iter().zip(&found.vectors) {
                prop_assert_eq!(ends, &vec![whole[0], whole[m - 1]]);
            }
        }

        #[test]
        fn the_growth_is_that_of_the_characteristic_polynomial(
            (alphas, betas, x) in (1usize..12).prop_flat_map(|m| {
                let positive = proptest::collection::vec(0.1..1.0f64, m);
                (proptest::collection::vec(-1.0..1.0f64, m), positive, -2.0..4.0f64)
            }),
        ) {
            let values = eigen(&alphas, &betas, &[]).values;
            let expected = (values[0] < x).then(|| {
                values.iter().zip(&betas).map(|(value, beta)| ((x - value) / beta).ln()).sum::<f64>()
            });
            match (log_growth(&alphas, &betas, x), expected) {
                (Some(found), Some(expected)) => prop_assert!((found - expected).abs() < 1e-6),
                (found, expected) => prop_assert_eq!(found.is_some(), expected.is_some()),
            }
        }
    }
}
