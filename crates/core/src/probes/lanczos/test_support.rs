//! Matrices of known spectra.

use rand::Rng;

use crate::{Seed, Stream};

/// H x for H = R D R with the reflection R = 1 - 2 u uᵀ: eigenvalues D, eigenvectors R e_i.
pub(super) fn product(values: &[f64], u: &[f64], x: &[f32]) -> Vec<f32> {
    let reflect = |x: Vec<f64>| {
        let along: f64 = x.iter().zip(u).map(|(x, u)| x * u).sum();
        x.iter().zip(u).map(|(x, u)| x - 2.0 * along * u).collect::<Vec<f64>>()
    };
    let x = reflect(x.iter().map(|&x| x.into()).collect());
    let y = reflect(x.iter().zip(values).map(|(x, value)| x * value).collect());
    y.into_iter().map(|y| y as f32).collect()
}

/// A vector of norm 1.
pub(super) fn unit(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = Seed(seed).rng(Stream::Spectrum, []);
    let u: Vec<f64> = (0..n).map(|_| rng.gen_range(-1.0..1.0)).collect();
    let norm = u.iter().map(|x| x * x).sum::<f64>().sqrt();
    u.into_iter().map(|x| x / norm).collect()
}

/// `n` eigenvalues, five of them large, a reflection and a start.
pub(super) fn spectrum(n: usize) -> (Vec<f64>, Vec<f64>, Vec<f32>) {
    let mut rng = Seed(5).rng(Stream::Spectrum, []);
    let mut values: Vec<f64> = (0..n).map(|_| rng.gen_range(-1.0..1.0)).collect();
    values[..5].copy_from_slice(&[40.0, 20.0, 10.0, 9.0, 5.0]);
    (values, unit(n, 6), unit(n, 7).into_iter().map(|x| x as f32).collect())
}
