//! The trace of a covariance of vectors around their sample mean.

use super::moments::Estimate;

/// The trace of the covariance of K vectors x_i, V = Σ d_i / (K - 1), from the squares d_i = ‖x_i - x̄‖² of their distances from
/// their mean, and its standard error; there is no error for fewer than three.
///
/// The error must account for the mean that they share. Without x_i the sum is Σ d_j - K/(K-1) d_i, so that the jackknife's
/// squared error is K / ((K-1) (K-2)²) Σ (d_i - d̄)² (Efron & Stein, 1981). For normal vectors its mean is 2 tr C² / (K-2),
/// while V has the variance 2 tr C² / (K-1); the ratio of the two, which matters for few vectors, is corrected for.
pub fn trace_of_spread(squares: &[f64]) -> Estimate {
    let k = squares.len() as f64;
    let sum: f64 = squares.iter().sum();
    let spread: f64 = squares.iter().map(|d| (d - sum / k).powi(2)).sum();
    let error = (squares.len() > 2).then(|| (k * spread / (k - 2.0)).sqrt() / (k - 1.0));
    Estimate { value: sum / (k - 1.0), error }
}

#[cfg(test)]
mod tests {
    use rand::seq::SliceRandom;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::{Seed, Stream};

    const DIMENSION: usize = 12;

    fn mean<'a>(vectors: impl IntoIterator<Item = &'a [f64; DIMENSION]>) -> [f64; DIMENSION] {
        let (mut sum, mut count) = ([0.0; DIMENSION], 0.0);
        for vector in vectors {
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
            count += 1.0;
        }
        sum.map(|sum| sum / count)
    }

    fn squares(vectors: &[[f64; DIMENSION]]) -> Vec<f64> {
        let middle = mean(vectors);
        vectors.iter().map(|v| v.iter().zip(middle).map(|(x, m)| (x - m).powi(2)).sum()).collect()
    }

    #[test]
    fn the_error_is_that_of_leaving_each_out_but_for_its_bias() {
        let mut rng = Seed(1).rng(Stream::Covariance, []);
        let vectors: Vec<[f64; DIMENSION]> =
            (0..5).map(|_| std::array::from_fn(|_| StandardNormal.sample(&mut rng))).collect();
        let left_out = |index: usize| {
            let mut others = vectors.clone();
            others.remove(index);
            trace_of_spread(&squares(&others)).value
        };
        let values: Vec<f64> = (0..5).map(left_out).collect();
        let middle = values.iter().sum::<f64>() / 5.0;
        let jackknife = values.iter().map(|value| (value - middle).powi(2)).sum::<f64>() * 4.0 / 5.0;
        let found = trace_of_spread(&squares(&vectors));
        assert!((found.error.unwrap() - (jackknife * 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(trace_of_spread(&[1.0, 1.0]), Estimate { value: 2.0, error: None });
    }

    /// Chunks of a finite population in a random order: the estimate b V is unbiased, and the errors are those of its spread.
    /// A plain standard error of the d_i would be too small by more than half for three chunks.
    fn errors_fit(heavy_tails: bool, allowed: std::ops::Range<f64>) {
        let mut rng = Seed(2).rng(Stream::Covariance, []);
        let population: Vec<[f64; DIMENSION]> = (0..120)
            .map(|_| {
                let scale: f64 = if heavy_tails { StandardNormal.sample(&mut rng) } else { 1.0 };
                std::array::from_fn(|i| {
                    let x: f64 = StandardNormal.sample(&mut rng);
                    scale * x / (1 + i) as f64
                })
            })
            .collect();
        let exact = squares(&population).iter().sum::<f64>() / 119.0;
        for chunk in [10, 20, 40] {
            let (mut values, mut variances, repeats) = (vec![], vec![], 4000);
            for _ in 0..repeats {
                let mut order: Vec<usize> = (0..120).collect();
                order.shuffle(&mut rng);
                let chunks: Vec<[f64; DIMENSION]> =
                    order.chunks(chunk).map(|part| mean(part.iter().map(|&i| &population[i]))).collect();
                let Estimate { value, error } = trace_of_spread(&squares(&chunks));
                values.push(chunk as f64 * value);
                variances.push((chunk as f64 * error.unwrap()).powi(2));
            }
            let n = f64::from(repeats);
            let middle = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / (n - 1.0);
            assert!((middle - exact).abs() < 4.0 * (variance / n).sqrt(), "{chunk}: {middle} {exact}");
            let ratio = variances.iter().sum::<f64>() / n / variance;
            assert!(allowed.contains(&ratio), "{chunk}: {ratio}");
        }
    }

    #[test]
    fn estimates_from_all_chunks_spread_as_their_errors_say() {
        errors_fit(false, 0.9..1.2);
        // that the chunks are the whole population is not accounted for: the errors are too large rather than too small
        errors_fit(true, 0.9..1.8);
    }
}
