//! The noise of a loss whose samples are shuffled, cropped and flipped anew, from the differences between each sample's losses.

use super::moments::Moments;

/// One evaluation of all samples, in an order of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Redraw {
    /// The sample at each place, a permutation of 0, 1, ..., N - 1.
    pub order: Vec<usize>,
    /// The loss at each place.
    pub losses: Vec<f64>,
}

/// An estimate of the standard deviation of the mean loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RedrawNoise {
    /// The standard deviation.
    pub sigma: f64,
    /// Its degrees of freedom.
    pub freedom: f64,
}

/// The standard deviation of the mean loss over redraws, estimated from `draws` in which the losses of each `unit` consecutive samples
/// may depend on each other: the chunk if batch norm takes its statistics from it, else 1.
///
/// With l_i^k the loss of sample i in draw k of m, l̄_i its mean, and N samples, the deviations l_i^k - l̄_i have the sum of squares S,
/// and their sums over units have the sum of squares Q. Subtracting l̄_i scales the expectation of squares by (m - 1) / m, and that of
/// products of different samples, which rarely share a unit twice, by ((m - 1) / m)². Hence
///
/// σ² = (a S + a² (Q - S)) / (m N²) with a = m / (m - 1).
///
/// The variance of σ² follows from the spread of the squares that Q adds up, and the degrees of freedom from it: ν = 2 σ⁴ / Var(σ²).
///
/// `None` for fewer than two draws, and if σ² or its variance is not positive, as with very few units.
pub fn redraw_noise(draws: &[Redraw], unit: usize) -> Option<RedrawNoise> {
    let m = draws.len() as f64;
    let n = draws.first().filter(|_| draws.len() > 1)?.losses.len();
    let mut means = vec![0.0; n];
    for draw in draws {
        draw.order.iter().zip(&draw.losses).for_each(|(&sample, loss)| means[sample] += loss / m);
    }
    let (mut of_samples, mut of_units) = (0.0, vec![]);
    for Redraw { order, losses } in draws {
        for (order, losses) in order.chunks(unit).zip(losses.chunks(unit)) {
            let deviations = order.iter().zip(losses).map(|(&sample, loss)| loss - means[sample]);
            let (sum, squares) = deviations.fold((0.0, 0.0), |(sum, squares), d| (sum + d, squares + d * d));
            of_samples += squares;
            of_units.push(sum * sum);
        }
    }
    let (a, scale) = (m / (m - 1.0), m * (n as f64).powi(2));
    let variance = (a * of_samples + a * a * (of_units.iter().sum::<f64>() - of_samples)) / scale;
    let of_variance = of_units.len() as f64 * Moments::of(&of_units).variance? * (a * a / scale).powi(2);
    let freedom = 2.0 * variance * variance / of_variance;
    (variance > 0.0 && freedom.is_finite()).then(|| RedrawNoise { sigma: variance.sqrt(), freedom })
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand::seq::SliceRandom;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::{Seed, Stream};

    const SAMPLES: usize = 2000;
    const CHUNK: usize = 20;

    /// Losses whose means and standard deviations differ much between samples, and to which each chunk adds `shared` times a
    /// normal variable of its own.
    fn draw(rng: &mut impl Rng, shared: f64) -> Redraw {
        let mut order: Vec<usize> = (0..SAMPLES).collect();
        order.shuffle(rng);
        let mut normal = || rng.sample::<f64, _>(StandardNormal);
        let mut of_chunk = 0.0;
        let losses = order.iter().enumerate().map(|(place, &sample)| {
            if place.is_multiple_of(CHUNK) {
                of_chunk = shared * normal();
            }
            sample as f64 + deviation(sample) * normal() + of_chunk
        });
        let losses = losses.collect();
        Redraw { order, losses }
    }

    /// One in ten samples has a standard deviation ten times that of the others.
    fn deviation(sample: usize) -> f64 {
        if sample.is_multiple_of(10) { 1.0 } else { 0.1 }
    }

    #[test]
    fn the_variance_of_the_mean_loss_and_its_own_are_as_estimated() {
        let of_samples: f64 = (0..SAMPLES).map(|sample| deviation(sample).powi(2)).sum();
        let cases = [2, 3, 10].map(|m| [(m, 0.0, 1), (m, 0.0, CHUNK), (m, 0.1, CHUNK)]);
        for (case, (m, shared, unit)) in cases.into_iter().flatten().enumerate() {
            let of_chunks = SAMPLES as f64 * CHUNK as f64 * shared * shared;
            let truth = (of_samples + of_chunks) / (SAMPLES as f64).powi(2);
            let estimates = (0..400).map(|repetition| {
                let mut rng = Seed(1).rng(Stream::Init, [case as u64, repetition]);
                let draws: Vec<Redraw> = (0..m).map(|_| draw(&mut rng, shared)).collect();
                let RedrawNoise { sigma, freedom } = redraw_noise(&draws, unit).unwrap();
                (sigma * sigma, 2.0 * sigma.powi(4) / freedom)
            });
            let (variances, stated): (Vec<f64>, Vec<f64>) = estimates.unzip();
            let found = Moments::of(&variances);
            let error = found.standard_error.unwrap();
            assert!((found.mean - truth).abs() < 4.0 * error, "{m} {shared} {unit}: {found:?} {truth}");
            assert!(error < 0.05 * truth, "{m} {shared} {unit}: {error} {truth}");
            let ratio = Moments::of(&stated).mean / found.variance.unwrap();
            assert!((0.8..3.0).contains(&ratio), "{m} {shared} {unit}: {ratio}");
        }
    }

    #[test]
    fn one_draw_and_equal_draws_say_nothing() {
        let draw = draw(&mut Seed(1).rng(Stream::Init, [0]), 0.1);
        assert_eq!(redraw_noise(&[], CHUNK), None);
        assert_eq!(redraw_noise(std::slice::from_ref(&draw), CHUNK), None);
        assert_eq!(redraw_noise(&[draw.clone(), draw], CHUNK), None);
    }
}
