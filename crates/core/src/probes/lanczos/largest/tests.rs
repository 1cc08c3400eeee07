use nalgebra::{DMatrix, SymmetricEigen};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

use super::super::random_direction;
use super::super::test_support::{product, spectrum, unit};
use super::*;

fn config(values: usize) -> LargestConfig {
    LargestConfig { values, tolerance: 1e-4, products: 10_000 }
}

/// The search with random starts only.
fn search(
    config: LargestConfig,
    n: usize,
    seed: u64,
    mut product: impl FnMut(&[f32]) -> Vec<f32>,
) -> Largest {
    let mut rng = StdRng::seed_from_u64(seed);
    let start = random_direction(n, &mut rng);
    largest_eigenpairs::<()>(config, start, || random_direction(n, &mut rng), |x| Ok(product(x))).unwrap()
}

/// The eigenvalues `values` in a random orthonormal basis: the search's result, and nalgebra's eigenvalues.
fn both(config: LargestConfig, values: &[f64], seed: u64) -> (Largest, Vec<f64>) {
    let (n, mut rng) = (values.len(), StdRng::seed_from_u64(seed));
    let q = DMatrix::from_fn(n, n, |_, _| -> f64 { StandardNormal.sample(&mut rng) }).qr().q();
    let h: DMatrix<f64> = &q * DMatrix::from_diagonal(&values.to_vec().into()) * q.transpose();
    let mut expected: Vec<f64> = SymmetricEigen::new(h.clone()).eigenvalues.iter().copied().collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    let found = search(config, n, seed + 1, |x| {
        let x = DMatrix::from_fn(n, 1, |row, _| f64::from(x[row]));
        (&h * x).iter().map(|&y| y as f32).collect()
    });
    (found, expected)
}

fn found_values(found: &Largest) -> Vec<f64> {
    found.pairs.iter().map(|pair| pair.value).collect()
}

#[test]
fn the_largest_eigenvalues_and_their_residuals_are_right() {
    let (values, u, start) = spectrum(200);
    let mut rng = StdRng::seed_from_u64(1);
    let config = LargestConfig { values: 5, tolerance: 1e-5, products: 100 };
    let random = || random_direction(200, &mut rng);
    let found = largest_eigenpairs::<()>(config, start, random, |x| Ok(product(&values, &u, x))).unwrap();
    assert_eq!(found.completeness, Completeness::Verified);
    assert!(found.products < 70, "{}", found.products);
    for (pair, expected) in found.pairs.iter().zip([40.0, 20.0, 10.0, 9.0, 5.0]) {
        // an eigenvalue lies within the residual, plus the rounding of f32 products of size 40
        let error = (pair.value - expected).abs();
        assert!(error <= pair.residual + 4e-6, "{expected}: {error:e}");
        assert!(pair.residual <= 1e-5 * 40.0);
        let off: f64 = product(&values, &u, &pair.vector)
            .iter()
            .zip(&pair.vector)
            .map(|(h, v)| (f64::from(*h) - pair.value * f64::from(*v)).powi(2))
            .sum();
        assert!((off.sqrt() - pair.residual).abs() < 2e-5, "{expected}: {off:e}");
    }
    let smallest = values.iter().copied().fold(0.0, f64::min);
    assert!((found.smallest.value - smallest).abs() <= found.smallest.residual + 4e-6);
}

#[test]
fn a_repeated_eigenvalue_comes_as_often_as_it_is() {
    // nine copies of one value, five of the next, over a bulk
    let mut values = vec![0.7923; 9];
    values.extend([0.054; 5]);
    values.extend((0..200).map(|i| 1e-4 * f64::from(i)));
    let u = unit(values.len(), 2);
    for seed in 0..20 {
        let config = LargestConfig { values: 12, tolerance: 1e-3, products: 400 };
        let found = search(config, values.len(), seed, |x| product(&values, &u, x));
        assert_eq!(found.completeness, Completeness::Verified, "{seed}");
        assert_eq!(found.pairs.len(), 12);
        for (pair, expected) in found.pairs.iter().zip(&values) {
            // within the residual even where that is rounding alone
            let error = (pair.value - expected).abs();
            assert!(error < 1e-5 && error <= pair.residual, "{seed}: {error:e} {:e}", pair.residual);
        }
    }
}

#[test]
fn what_is_not_zero_is_found_and_the_rest_is_said_to_be_zero() {
    let mut values = vec![0.0; 200];
    values[..18].copy_from_slice(&std::array::from_fn::<f64, 18, _>(|i| 3.0 / (1 + i / 2) as f64));
    let u = unit(200, 3);
    let found = search(config(30), 200, 4, |x| product(&values, &u, x));
    assert_eq!((found.pairs.len(), found.completeness), (18, Completeness::AllNonzero));
    assert!(found_values(&found).iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-5));
    assert!(found.smallest.value.abs() < 1e-5);

    let zero = search(config(3), 50, 5, |x| vec![0.0; x.len()]);
    assert_eq!((zero.pairs.len(), zero.completeness), (0, Completeness::AllNonzero));
    assert_eq!((zero.smallest, zero.products), (Ritz { value: 0.0, residual: 0.0 }, 4));
    // of the last run's space no part is left out: the second 1 precedes -1
    let (found, expected) = both(config(5), &[1.0, 1.0, 2.0, 0.5, 2.0, -1.0], 0);
    let values = found_values(&found);
    assert!(values.len() == 5 && values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
    // the negative ones beyond the zeros belong to the largest where there are not enough others
    let (found, _) = both(config(5), &[2.0, 0.0, -1.0, -3.0], 6);
    let (values, expected) = (found_values(&found), [2.0, 0.0, -1.0, -3.0]);
    assert!(values.len() == 4 && values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
    assert_eq!(found.completeness, Completeness::AllNonzero);
}

#[test]
fn one_parameter_has_one_eigenvalue() {
    for (values, expected) in [(1, Completeness::Verified), (4, Completeness::AllNonzero)] {
        let found = search(config(values), 1, 7, |x| vec![-2.5 * x[0]]);
        assert_eq!((found.pairs.len(), found.products, found.completeness), (1, 1, expected));
        assert!((found.pairs[0].value + 2.5).abs() < 1e-6 && found.pairs[0].residual < 1e-6);
    }
}

#[test]
fn a_product_that_is_not_finite_at_any_step_leaves_no_value() {
    let (values, u, _) = spectrum(20);
    let whole = search(config(3), 20, 8, |x| product(&values, &u, x)).products;
    for bad in 0..whole {
        for poison in [f32::NAN, f32::INFINITY] {
            let mut made = 0;
            let found = search(config(3), 20, 8, |x| {
                made += 1;
                let mut y = product(&values, &u, x);
                y[bad % 20] = if made == bad + 1 { poison } else { y[bad % 20] };
                y
            });
            assert_eq!((found.pairs.len(), found.completeness), (0, Completeness::Undefined));
            assert!(found.smallest.value.is_nan() && found.products == bad + 1);
        }
    }
}

#[test]
fn too_few_products_are_said_to_be_so() {
    let (values, u, _) = spectrum(200);
    let whole = search(config(5), 200, 9, |x| product(&values, &u, x)).products;
    for products in 1..whole {
        let found = search(LargestConfig { products, ..config(5) }, 200, 9, |x| product(&values, &u, x));
        assert_eq!((found.products, found.completeness), (products, Completeness::Unverified));
        assert_eq!(found.pairs.len(), products.min(5));
        for pair in &found.pairs {
            let nearest = values.iter().map(|value| (pair.value - value).abs()).fold(f64::INFINITY, f64::min);
            assert!(nearest <= pair.residual + 1e-5, "{products}: {} +- {}", pair.value, pair.residual);
        }
    }
}

#[test]
fn a_guess_that_lacks_an_eigenvector_is_completed() {
    let (values, u, _) = spectrum(200);
    // the second eigenvector, R e_1, alone
    let guess: Vec<f32> =
        (0..200).map(|i| (f64::from(u8::from(i == 1)) - 2.0 * u[i] * u[1]) as f32).collect();
    let mut rng = StdRng::seed_from_u64(3);
    let random = || random_direction(200, &mut rng);
    let found = largest_eigenpairs::<()>(config(2), guess, random, |x| Ok(product(&values, &u, x))).unwrap();
    assert_eq!(found.completeness, Completeness::Verified);
    assert!(found_values(&found).iter().zip([40.0, 20.0]).all(|(a, b)| (a - b).abs() < 1e-4));
}

/// The promise of 99.9%: the first run cannot see an eigenvalue, the next one must not overlook it.
#[test]
fn larger_eigenvalues_are_rarely_missed() {
    let (n, hidden, seen) = (400, 1.5, 1.3);
    let mut missed = 0;
    for seed in 0..1000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut values: Vec<f64> = (0..n).map(|_| rng.gen_range(-1.0..1.0)).collect();
        values[..2].copy_from_slice(&[hidden, seen]);
        let start: Vec<f32> = (0..n).map(|i| if i == 0 { 0.0 } else { 1.0 }).collect();
        let config = LargestConfig { values: 1, tolerance: 0.1, products: 400 };
        let product =
            |x: &[f32]| Ok(x.iter().zip(&values).map(|(x, v)| (f64::from(*x) * v) as f32).collect());
        let found =
            largest_eigenpairs::<()>(config, start, || random_direction(n, &mut rng), product).unwrap();
        assert_eq!(found.completeness, Completeness::Verified);
        missed += usize::from(found.pairs[0].value < 1.4);
    }
    // if 0.1% were missed, more than 5 of 1000 would be in one case of 1,700
    assert!(missed <= 5, "{missed}");
}

proptest! {
    // a fixed seed: the promise leaves a chance of missing a value
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// Copies, zeros and any number asked for.
    #[test]
    fn any_matrix_gives_its_largest_eigenvalues_with_their_multiplicity(
        values in proptest::collection::vec(
            prop_oneof![Just(0.0), Just(1.0), Just(0.5), Just(-1.0), Just(2.0), -1.0..1.0], 1..30,
        ),
        wanted in 1usize..35,
        seed in 0u64..1000,
    ) {
        let (found, expected) = both(config(wanted), &values, seed);
        prop_assert!(matches!(found.completeness, Completeness::Verified | Completeness::AllNonzero));
        let most = wanted.min(values.len());
        prop_assert!(found.pairs.len() <= most);
        for (index, pair) in found.pairs.iter().enumerate() {
            // no Ritz value exceeds the eigenvalue of its rank, and here none is missed
            prop_assert!((pair.value - expected[index]).abs() < 1e-3, "{found:?} {expected:?}");
            prop_assert!(pair.residual < 1e-3);
        }
        for missing in &expected[found.pairs.len()..most] {
            prop_assert!(missing.abs() < 1e-3, "{expected:?}");
        }
    }
}
