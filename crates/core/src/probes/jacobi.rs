//! Eigenvalues and eigenvectors of a small symmetric matrix.

/// Maximum number of sweeps over all pairs; six to ten are typical.
const MAX_SWEEPS: usize = 60;

/// An eigenvalue and its eigenvector of norm 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Eigenpair {
    pub(super) value: f64,
    pub(super) vector: Vec<f64>,
}

/// The eigenpairs of a symmetric matrix `[n, n]`, largest first, by Jacobi's cyclic rotations (Golub & Van Loan, Matrix
/// Computations, 4th ed., Section 8.5). It takes O(n³) operations for each sweep.
pub(super) fn eigenpairs(mut matrix: Vec<Vec<f64>>) -> Vec<Eigenpair> {
    let n = matrix.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..MAX_SWEEPS {
        let mut is_diagonal = true;
        for p in 0..n {
            for q in p + 1..n {
                let apart = matrix[p][q];
                // what rounding leaves of the two diagonal elements
                if apart.abs() <= f64::EPSILON * (matrix[p][p] * matrix[q][q]).abs().sqrt() || apart == 0.0 {
                    continue;
                }
                is_diagonal = false;
                let (c, s) = rotation(matrix[p][p], matrix[q][q], apart);
                rotate(&mut matrix, &mut vectors, [p, q], [c, s]);
            }
        }
        if is_diagonal {
            break;
        }
    }
    let mut pairs: Vec<Eigenpair> = vectors
        .into_iter()
        .enumerate()
        .map(|(i, vector)| Eigenpair { value: matrix[i][i], vector })
        .collect();
    pairs.sort_by(|one, other| other.value.total_cmp(&one.value));
    pairs
}

/// Cosine and sine of the smaller angle that makes `apart` 0.
fn rotation(first: f64, second: f64, apart: f64) -> (f64, f64) {
    let tau = (second - first) / (2.0 * apart);
    let t = 1f64.copysign(tau) / (tau.abs() + 1f64.hypot(tau));
    let c = 1.0 / 1f64.hypot(t);
    (c, t * c)
}

/// Turns rows and columns p and q of the matrix, and the vectors p and q.
fn rotate(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>], [p, q]: [usize; 2], [c, s]: [f64; 2]) {
    let turn =
        |one: &mut f64, other: &mut f64| (*one, *other) = (c * *one - s * *other, s * *one + c * *other);
    for row in matrix.iter_mut() {
        let (left, right) = row.split_at_mut(q);
        turn(&mut left[p], &mut right[0]);
    }
    for rows in [matrix, vectors] {
        let (upper, lower) = rows.split_at_mut(q);
        upper[p].iter_mut().zip(&mut lower[0]).for_each(|(one, other)| turn(one, other));
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, SymmetricEigen};
    use rand::Rng;

    use super::*;
    use crate::{Seed, Stream};

    #[test]
    fn eigenpairs_are_those_of_another_method() {
        let mut rng = Seed(3).rng(Stream::Plane, []);
        for n in [1, 2, 5, 30] {
            let rows: Vec<Vec<f64>> =
                (0..n).map(|_| (0..n).map(|_| rng.gen_range(-1.0..1.0)).collect()).collect();
            let matrix: Vec<Vec<f64>> =
                (0..n).map(|i| (0..n).map(|j| rows[i][j] + rows[j][i]).collect()).collect();
            let mut expected: Vec<f64> = SymmetricEigen::new(DMatrix::from_fn(n, n, |i, j| matrix[i][j]))
                .eigenvalues
                .iter()
                .copied()
                .collect();
            expected.sort_by(|one, other| other.total_cmp(one));
            for (pair, expected) in eigenpairs(matrix.clone()).iter().zip(&expected) {
                assert!((pair.value - expected).abs() < 1e-12, "{} is not {expected}", pair.value);
                let norm: f64 = pair.vector.iter().map(|x| x * x).sum();
                assert!((norm - 1.0).abs() < 1e-12);
                for (row, x) in matrix.iter().zip(&pair.vector) {
                    let product: f64 = row.iter().zip(&pair.vector).map(|(a, b)| a * b).sum();
                    assert!((product - pair.value * x).abs() < 1e-12);
                }
            }
        }
        assert!(eigenpairs(vec![]).is_empty());
    }
}
