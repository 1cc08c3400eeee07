//! The number of barriers that noise alone would be expected to produce on measured curves.

use statrs::distribution::{ContinuousCDF, Normal};
use walk_record::rows::{Interpolation, Mode};

use super::PooledNoise;

/// Coefficients of a parabola.
const COEFFICIENTS: usize = 3;

/// Minimum number of losses of a segment: with fewer, the parabola fits the noise.
const FEWEST: usize = 2 * COEFFICIENTS;

/// Number of noise draws for the probability of one segment.
const DRAWS: usize = 2048;

/// Number of sets of draws, which segments use in turn: the error of a finite set then differs between segments.
const WINDOWS: usize = 16;

/// A curve more than this many σ below its ends has no barrier from noise.
const REACH: f64 = 10.0;

/// Barriers expected from noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prediction {
    /// Their number; `None` if no segment has enough losses.
    pub(crate) count: Option<f64>,
    /// Standard deviation of the difference between the number found and the one expected, if there is only noise.
    pub(crate) deviation: f64,
}

/// Sums the probabilities of segments.
///
/// The model of a curve is a parabola plus noise. Its least-squares fit is as noisy as the losses, and the probability of a
/// barrier on the fitted curve plus fresh noise would count that noise twice. Given the fit, however, the residuals of the
/// losses have a known distribution that does not depend on the parabola: the projection of noise orthogonal to parabolas. So
/// the probability of a barrier on the fit plus such residuals has the true probability as its mean, for any parabola
/// (Rao & Blackwell), and the difference from the number found has the variance Σ p (1 - p). The error of the estimate of σ
/// adds to this: half the difference between the sums for σ a standard error larger and smaller.
pub(super) struct Curves {
    /// The estimate of σ, and the estimate minus and plus its standard error, σ / √(2 ν).
    sigma: [f64; 3],
    /// 1 / √(2 ν)
    relative_error: f64,
    /// A fit whose curvature is negative by more than this many standard errors is certainly concave.
    concave: f64,
    /// The windows for the most recent positions.
    design: Option<Design>,
    /// Sums of p for each σ.
    sums: [f64; 3],
    variance: f64,
    segments: usize,
}

impl Curves {
    pub(super) fn new(noise: PooledNoise, concave: f64) -> Self {
        let error = (2.0 * noise.freedom).sqrt().recip();
        let sigma = [1.0, 1.0 - error, 1.0 + error].map(|factor| factor * noise.sigma);
        Self {
            sigma,
            relative_error: error,
            concave,
            design: None,
            sums: [0.0; 3],
            variance: 0.0,
            segments: 0,
        }
    }

    /// Adds a curve whose losses contain none of the noise. A segment with non-finite losses is left out.
    pub(super) fn add_without_noise(&mut self, segment: &Interpolation) {
        if let Some(curve) = finite_losses(segment) {
            self.count(self.sigma.map(|sigma| probability(&curve, sigma)));
        }
    }

    /// Adds a curve with noise. A segment with non-finite losses is left out.
    pub(super) fn add(&mut self, segment: &Interpolation) {
        let Some(losses) = finite_losses(segment) else { return };
        if losses.len() < FEWEST {
            return;
        }
        if self.design.as_ref().is_none_or(|design| design.alphas != segment.alphas) {
            self.design = Design::new(&segment.alphas);
        }
        let Some(design) = &self.design else { return };
        let mut coefficients = design.coefficients(&losses);
        let is_concave = coefficients[2] < -self.concave * self.sigma[0];
        // losses estimated on the same samples: their noise is common to the curve, and fresh noise is not in it yet
        let is_smooth = is_concave || segment.mode == Mode::Adaptive;
        if is_smooth {
            // the nearest curve without a barrier in the absence of noise
            coefficients[2] = coefficients[2].max(0.0);
        }
        let curve = design.curve(coefficients);
        let p = self.sigma.map(|sigma| {
            if is_smooth {
                probability(&curve, sigma)
            } else {
                design.probability(&curve, sigma, self.segments % WINDOWS)
            }
        });
        self.count(p);
    }

    fn count(&mut self, p: [f64; 3]) {
        self.sums.iter_mut().zip(p).for_each(|(sum, p)| *sum += p);
        self.variance += p[0] * (1.0 - p[0]);
        self.segments += 1;
    }

    pub(super) fn prediction(&self) -> Prediction {
        let [sum, low, high] = self.sums;
        let (slope, bend) = (0.5 * (high - low), high + low - 2.0 * sum);
        let count = sum - 0.5 * bend + 0.5 * self.relative_error * slope;
        Prediction {
            count: (self.segments > 0).then(|| count.clamp(0.0, self.segments as f64)),
            deviation: self.variance.sqrt().hypot(slope),
        }
    }
}

fn finite_losses(segment: &Interpolation) -> Option<Vec<f64>> {
    let losses: Option<Vec<f64>> = segment.losses.iter().map(|loss| loss.get()).collect();
    losses.filter(|losses| losses.len() == segment.alphas.len())
}

/// Positions, and precomputed data for parabolas over them.
struct Design {
    alphas: Vec<f64>,
    /// Orthonormal polynomials of degree 0, 1 and 2 at the positions.
    basis: [Vec<f64>; COEFFICIENTS],
    /// Draws of standard normal noise with its fitted parabola removed, one after the other.
    residuals: Vec<f64>,
}

impl Design {
    /// `None` for fewer than three different positions.
    fn new(alphas: &[f64]) -> Option<Self> {
        let len = alphas.len();
        let middle = alphas.iter().sum::<f64>() / len as f64;
        let reach = alphas.iter().map(|alpha| (alpha - middle).abs()).fold(0.0, f64::max);
        let mut basis: [Vec<f64>; COEFFICIENTS] = [0, 1, 2]
            .map(|degree| alphas.iter().map(|alpha| ((alpha - middle) / reach).powi(degree)).collect());
        for degree in 0..COEFFICIENTS {
            let (lower, rest) = basis.split_at_mut(degree);
            let vector = &mut rest[0];
            for lower in &*lower {
                let along = dot(vector, lower);
                subtract(vector, along, lower);
            }
            let norm = dot(vector, vector).sqrt();
            if norm.is_nan() || norm < 1e-6 {
                return None;
            }
            vector.iter_mut().for_each(|x| *x /= norm);
        }
        let complement = complement(&basis);
        let mut residuals = vec![0.0; WINDOWS * DRAWS * len];
        let draws = deviates(complement.len());
        for (draw, residual) in draws.chunks_exact(complement.len()).zip(residuals.chunks_exact_mut(len)) {
            complement.iter().zip(draw).for_each(|(vector, z)| subtract(residual, -z, vector));
        }
        Some(Self { alphas: alphas.into(), basis, residuals })
    }

    /// The coefficients of the least-squares fit; each has the standard error σ.
    fn coefficients(&self, losses: &[f64]) -> [f64; COEFFICIENTS] {
        [0, 1, 2].map(|degree| dot(&self.basis[degree], losses))
    }

    fn curve(&self, coefficients: [f64; COEFFICIENTS]) -> Vec<f64> {
        let mut curve = vec![0.0; self.alphas.len()];
        self.basis.iter().zip(coefficients).for_each(|(vector, c)| subtract(&mut curve, -c, vector));
        curve
    }

    /// The share of a window's residual draws that give the curve a barrier.
    fn probability(&self, curve: &[f64], sigma: f64, window: usize) -> f64 {
        if height(curve) < -REACH * sigma {
            return 0.0;
        }
        let len = curve.len();
        let mut noisy = vec![0.0; len];
        let draws = &self.residuals[window * DRAWS * len..][..DRAWS * len];
        let barriers = draws.chunks_exact(len).filter(|draw| {
            noisy
                .iter_mut()
                .zip(curve)
                .zip(*draw)
                .for_each(|((sum, loss), noise)| *sum = loss + sigma * noise);
            height(&noisy) > 0.0
        });
        barriers.count() as f64 / DRAWS as f64
    }
}

/// The probability that independent noise gives a curve a barrier. The higher end M, with noise, has the distribution
/// F(m) = Φ((m - L_0) / σ) Φ((m - L_1) / σ): 1 - ∫ Π_j Φ((m - L_j) / σ) dF(m).
fn probability(curve: &[f64], sigma: f64) -> f64 {
    if height(curve) < -REACH * sigma {
        return 0.0;
    }
    if sigma == 0.0 {
        return f64::from(u8::from(height(curve) > 0.0));
    }
    let normal = Normal::standard();
    let [first, interior @ .., last] = curve else { return 0.0 };
    let step = 1.0 / 16.0;
    let top = first.max(*last);
    let below = |m: f64, loss: &f64| normal.cdf(m + (top - loss) / sigma);
    let steps = (2.0 * REACH / step) as usize;
    let bounds: Vec<f64> = (0..=steps).map(|index| index as f64 * step - REACH).collect();
    let ends: Vec<f64> = bounds.iter().map(|&m| below(m, first) * below(m, last)).collect();
    // between two bounds, M is taken as their midpoint
    let without = ends.windows(2).zip(&bounds).map(|(end, m)| {
        (end[1] - end[0]) * interior.iter().map(|loss| below(m + 0.5 * step, loss)).product::<f64>()
    });
    (1.0 - without.sum::<f64>()).clamp(0.0, 1.0)
}

/// The highest interior loss minus the higher end.
fn height(losses: &[f64]) -> f64 {
    let [first, interior @ .., last] = losses else { return f64::NEG_INFINITY };
    interior.iter().copied().fold(f64::NEG_INFINITY, f64::max) - first.max(*last)
}

/// Orthonormal vectors that complete a basis: the Gram-Schmidt method on unit vectors, always taking next the one farthest
/// from the span of the previous ones.
fn complement(basis: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut all = basis.to_vec();
    let len = basis[0].len();
    while all.len() < len {
        let left = |index: usize| 1.0 - all.iter().map(|vector| vector[index].powi(2)).sum::<f64>();
        let Some(farthest) = (0..len).max_by(|&a, &b| left(a).total_cmp(&left(b))) else { break };
        let mut unit = vec![0.0; len];
        unit[farthest] = 1.0;
        for vector in &all {
            let along = dot(&unit, vector);
            subtract(&mut unit, along, vector);
        }
        let norm = dot(&unit, &unit).sqrt();
        unit.iter_mut().for_each(|x| *x /= norm);
        all.push(unit);
    }
    all.split_off(basis.len())
}

/// [`DRAWS`] draws for each window of `len` standard normal deviates, spread evenly: the additive recurrence of Roberts (2018),
/// frac(1/2 + k g^-j) with g^(len + 1) = g + 1, through the inverse of Φ.
fn deviates(len: usize) -> Vec<f64> {
    let normal = Normal::standard();
    let mut g = 2.0f64;
    (0..100).for_each(|_| g = (1.0 + g).powf(1.0 / (len + 1) as f64));
    let draws = (1..=WINDOWS * DRAWS).flat_map(|draw| {
        (1..=len as i32).map(move |coordinate| (0.5 + draw as f64 * g.powi(-coordinate)).fract())
    });
    draws.map(|uniform| normal.inverse_cdf(uniform.clamp(1e-12, 1.0 - 1e-12))).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn subtract(from: &mut [f64], factor: f64, vector: &[f64]) {
    from.iter_mut().zip(vector).for_each(|(x, y)| *x -= factor * y);
}
