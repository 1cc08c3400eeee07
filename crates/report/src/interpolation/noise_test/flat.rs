//! Heights of barriers on flat curves, by numerical integration. Heights are in units of σ.

use statrs::distribution::{ContinuousCDF, Normal};

/// The probability that an epoch whose curves are all flat has a tested barrier.
pub(crate) const FALSE_POSITIVES: f64 = 0.05;

/// The probability that a barrier of the detectable height is detected.
pub(crate) const POWER: f64 = 0.95;

/// Step of the grids of normal deviates. The trapezoidal rule converges faster than any power of it.
const STEP: f64 = 1.0 / 32.0;

/// Normal deviates beyond this have a probability below 1e-23.
const REACH: f64 = 10.0;

/// Heights beyond this have a probability below 1e-25 on flat curves.
const HIGHEST: f64 = 14.0;

/// Points at which the estimate of σ is examined.
const SCALES: usize = 512;

fn normal() -> Normal {
    Normal::standard()
}

/// φ
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The distribution of s = estimate of σ / σ, for which ν s² has the chi-square distribution with ν degrees of freedom.
pub(super) struct Scale(Vec<Weighted>);

struct Weighted {
    value: f64,
    weight: f64,
}

impl Scale {
    /// In y = ln s the density is proportional to exp(ν (y - exp(2y) / 2)); it is integrated as far as its logarithm has fallen
    /// by 40.
    pub(super) fn new(freedom: f64) -> Self {
        if freedom.is_infinite() {
            return Self(vec![Weighted { value: 1.0, weight: 1.0 }]);
        }
        // the logarithm falls by at least ν y² to the right, and by ν (d + √d - 1/2) or more at -(d + √d)
        let fall = 40.0 / freedom;
        let (low, high) = (-(fall + fall.sqrt()), fall.sqrt());
        let at = |index: usize| low + (high - low) * index as f64 / (SCALES - 1) as f64;
        let values = (0..SCALES).map(at).map(|y| {
            let log = freedom * (y - 0.5 * (2.0 * y).exp() + 0.5);
            Weighted { value: y.exp(), weight: log.exp() }
        });
        let mut values: Vec<Weighted> = values.filter(|value| value.weight > 1e-16).collect();
        let total: f64 = values.iter().map(|value| value.weight).sum();
        values.iter_mut().for_each(|value| value.weight /= total);
        Self(values)
    }

    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        self.0.iter().map(|scale| scale.weight * of(scale.value)).sum()
    }
}

/// Flat segments, counted by their number of interior points.
#[derive(Clone, Debug)]
pub(super) struct FlatSegments(Vec<Alike>);

#[derive(Clone, Debug)]
struct Alike {
    interior: usize,
    count: usize,
    tail: Tail,
}

/// ln P(h > x σ) for one flat segment, at multiples of [`STEP`] from 0 to [`HIGHEST`].
#[derive(Clone, Debug)]
struct Tail(Vec<f64>);

impl Tail {
    /// With M the higher of two standard normal ends, whose density is 2 φ(m) Φ(m), and p interior points:
    /// P(h > x) = ∫ 2 φ(m) Φ(m) (1 - Φ(m + x)^p) dm.
    fn new(interior: usize) -> Self {
        let normal = normal();
        let ends = (2.0 * REACH / STEP) as usize;
        let heights = (HIGHEST / STEP) as usize;
        let at = |index: usize| index as f64 * STEP - REACH;
        let weights: Vec<f64> =
            (0..=ends).map(|index| 2.0 * density(at(index)) * normal.cdf(at(index)) * STEP).collect();
        // 1 - Φ^p from the tail of Φ, so that small probabilities keep their digits
        let above = |index: usize| -(interior as f64 * (-normal.sf(at(index))).ln_1p()).exp_m1();
        let above: Vec<f64> = (0..=ends + heights).map(above).collect();
        let tail = |height: usize| {
            let sum: f64 = weights.iter().zip(&above[height..]).map(|(weight, above)| weight * above).sum();
            sum.min(1.0).ln()
        };
        Self((0..=heights).map(tail).collect())
    }

    /// P(h > x σ) for x of at least 0.
    fn probability(&self, x: f64) -> f64 {
        let place = x / STEP;
        let index = place as usize;
        match self.0.get(index..index.saturating_add(2)) {
            Some(&[left, right]) => (left + (right - left) * (place - index as f64)).exp(),
            _ => 0.0,
        }
    }
}

impl FlatSegments {
    /// `None` if no segment has interior points.
    pub(super) fn new(interior: impl Iterator<Item = usize>) -> Option<Self> {
        let mut counts = std::collections::BTreeMap::<usize, usize>::new();
        interior
            .filter(|&interior| interior > 0)
            .for_each(|interior| *counts.entry(interior).or_default() += 1);
        let alike =
            counts.into_iter().map(|(interior, count)| Alike { interior, count, tail: Tail::new(interior) });
        let all: Vec<Alike> = alike.collect();
        (!all.is_empty()).then_some(Self(all))
    }

    /// P(the largest h of all segments > q times the estimate of σ) = 1 - E[F(q s)^n].
    ///
    /// Segments are taken as independent. Consecutive ones share an end, which makes their heights positively associated, so
    /// that the true probability is at most this one (Esary, Proschan & Walkup, 1967).
    pub(super) fn false_positives(&self, critical: f64, scale: &Scale) -> f64 {
        scale.mean(|s| {
            let none = |alike: &Alike| alike.count as f64 * (-alike.tail.probability(critical * s)).ln_1p();
            -self.0.iter().map(none).sum::<f64>().exp_m1()
        })
    }

    /// q, which the largest h exceeds with probability [`FALSE_POSITIVES`].
    pub(super) fn critical(&self, scale: &Scale) -> f64 {
        root(|q| FALSE_POSITIVES - self.false_positives(q, scale))
    }

    /// The probability that h > q times the estimate of σ for a segment that is flat but for one interior point, which lies
    /// `height` above: 1 - E ∫ 2 φ(m) Φ(m) Φ(m + q s)^(p-1) Φ(m + q s - height) dm.
    #[cfg(test)]
    pub(super) fn power(&self, height: f64, critical: f64, scale: &Scale) -> f64 {
        self.missed(critical, scale).power(height)
    }

    /// The height with a power of [`POWER`].
    pub(super) fn detectable(&self, critical: f64, scale: &Scale) -> f64 {
        let missed = self.missed(critical, scale);
        root(|height| missed.power(height) - POWER)
    }

    fn missed(&self, critical: f64, scale: &Scale) -> Missed {
        let normal = normal();
        let most = self.0.iter().max_by_key(|alike| alike.count).map_or(1, |alike| alike.interior);
        // a coarse grid suffices for this integrand
        let step = 4.0 * STEP;
        let ends = (0..=(2.0 * REACH / step) as usize).map(|index| index as f64 * step - REACH);
        let ends: Vec<Weighted> = ends
            .map(|m| Weighted { value: m, weight: 2.0 * density(m) * normal.cdf(m) * step })
            .filter(|end| end.weight > 1e-9)
            .collect();
        let mut bounds = vec![];
        for scale in scale.0.iter().filter(|scale| scale.weight > 1e-9) {
            bounds.extend(ends.iter().map(|end| {
                let value = end.value + critical * scale.value;
                let others = normal.cdf(value).powi(most as i32 - 1);
                Weighted { value, weight: scale.weight * end.weight * others }
            }));
        }
        Missed(bounds)
    }
}

/// The bounds that a point must exceed to be detected, with their probabilities, excluding those that another point exceeds.
struct Missed(Vec<Weighted>);

impl Missed {
    fn power(&self, height: f64) -> f64 {
        let normal = normal();
        let cdf = |x: f64| {
            if x > REACH {
                1.0
            } else if x < -REACH {
                0.0
            } else {
                normal.cdf(x)
            }
        };
        1.0 - self.0.iter().map(|bound| bound.weight * cdf(bound.value - height)).sum::<f64>()
    }
}

/// The root of a function that rises through 0 at a positive argument, by bisection.
fn root(of: impl Fn(f64) -> f64) -> f64 {
    let mut high = 8.0;
    while of(high) < 0.0 && high < 1e9 {
        high *= 2.0;
    }
    let mut low = 0.0;
    while high - low > 1e-6 * high {
        let middle = 0.5 * (low + high);
        if of(middle) < 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}
