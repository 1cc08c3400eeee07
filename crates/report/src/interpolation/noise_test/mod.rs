//! Tests barriers against noise: how high a barrier must be for noise not to explain it, and how many noise alone would produce.
//!
//! The statistic of a segment is its height h, the highest interior loss minus the higher end. The null hypothesis is a flat
//! curve: each loss has independent normal noise with standard deviation σ. All segments of an epoch share one estimate of σ.
//! In valleys, noise produces fewer and lower barriers. On curves of which several points lie within about 2 σ of one end while
//! the other end is lower, interior points compete with one end rather than two, and noise produces more (docs/STATISTICS.md has
//! the rates).

mod expected;
mod flat;
mod pooled;
#[cfg(test)]
mod simulation;

use walk_record::rows::{Interpolation, Mode, Noise};
use walk_record::{EvaluationData, Stamped};

use self::expected::Curves;
pub(crate) use self::expected::Prediction;
pub(crate) use self::flat::{FALSE_POSITIVES, POWER};
use self::flat::{FlatSegments, Scale};
pub(crate) use self::pooled::PooledNoise;
use crate::statistics::{Variance, student_quantile};

/// The test of the segments of one epoch.
#[derive(Clone, Debug)]
pub(crate) struct NoiseTest {
    /// σ.
    pub(crate) noise: PooledNoise,
    flat: FlatSegments,
    /// q: heights above q σ are barriers that noise does not explain.
    critical: f64,
}

impl NoiseTest {
    /// `None` if the noise is not known or no segment is decided.
    pub(crate) fn new(
        segments: &[Stamped<'_, Interpolation>],
        noises: &[Stamped<'_, Noise>],
    ) -> Option<Self> {
        let noise = PooledNoise::of(common_evaluation(segments)?, segments, noises)?;
        let interior = decided(segments).map(|segment| segment.losses.len().saturating_sub(2));
        let flat = FlatSegments::new(interior)?;
        let critical = flat.critical(&Scale::new(noise.freedom));
        Some(Self { noise, flat, critical })
    }

    /// Whether a segment has a barrier that noise does not explain: h > q s, where s² is σ² and in adaptive mode also the
    /// squared error of h due to samples left out, with degrees of freedom by Welch & Satterthwaite.
    pub(crate) fn rejects(&self, segment: &Interpolation) -> bool {
        if segment.barrier != Some(true) {
            return false;
        }
        // a barrier of no finite height is higher than any noise
        let Some(height) = segment.height.get() else { return true };
        if height <= self.critical * self.noise.sigma {
            return false;
        }
        let sampling =
            segment.height_error.get().filter(|&error| segment.mode == Mode::Adaptive && error > 0.0);
        let Some(sampling) = sampling else { return true };
        let sampling = sampling_variance(segment, sampling);
        let both = Variance::sum(&[self.noise.variance(), sampling]);
        height > self.flat.critical(&Scale::new(both.freedom)) * both.value.sqrt()
    }

    /// The barriers that noise alone would be expected to produce on these curves.
    pub(crate) fn expected(&self, segments: &[Stamped<'_, Interpolation>]) -> Prediction {
        let count = decided(segments).count() as f64;
        let concave = student_quantile(2.0 * FALSE_POSITIVES / count, self.noise.freedom);
        let mut curves = Curves::new(self.noise, concave);
        decided(segments).for_each(|segment| curves.add(segment));
        curves.prediction()
    }

    /// The height of a barrier that is detected with probability [`POWER`], on a curve that is flat but for one interior point.
    pub(crate) fn detectable(&self) -> f64 {
        self.noise.sigma * self.flat.detectable(self.critical, &Scale::new(self.noise.freedom))
    }
}

/// What the authors' evaluation would be expected to show for curves that were measured without its noise.
#[derive(Clone, Debug)]
pub(crate) struct PaperPrediction {
    /// σ of the authors' evaluation.
    pub(crate) noise: PooledNoise,
    /// Barriers.
    pub(crate) barriers: Prediction,
}

impl PaperPrediction {
    /// `None` unless the segments of an epoch were evaluated on samples drawn once, whose mean loss equals that of the authors'
    /// draws, and the noise of the authors' draws was measured.
    pub(crate) fn new(
        segments: &[Stamped<'_, Interpolation>],
        noises: &[Stamped<'_, Noise>],
    ) -> Option<Self> {
        common_evaluation(segments).filter(|&evaluation| evaluation == EvaluationData::Augmented)?;
        let noise = PooledNoise::of(EvaluationData::Paper, segments, noises)?;
        let mut curves = Curves::new(noise, f64::INFINITY);
        decided(segments).for_each(|segment| curves.add_without_noise(segment));
        Some(Self { noise, barriers: curves.prediction() })
    }
}

/// What all segments were evaluated on; `None` if they differ.
fn common_evaluation(segments: &[Stamped<'_, Interpolation>]) -> Option<EvaluationData> {
    let first = segments.first()?.evaluation;
    segments.iter().all(|segment| segment.evaluation == first).then_some(first)
}

fn decided<'a>(segments: &'a [Stamped<'_, Interpolation>]) -> impl Iterator<Item = &'a Interpolation> {
    segments.iter().map(|segment| segment.row).filter(|segment| segment.barrier.is_some())
}

/// The variance behind an error of an adaptive segment, which is recorded wide enough for two of them to cover what two cover of
/// a normal distribution. A record without degrees of freedom has plain errors.
pub(crate) fn sampling_variance(segment: &Interpolation, error: f64) -> Variance {
    // P(|z| > 2) of the normal distribution
    const OUTSIDE: f64 = 0.045_500_263_896_358_4;
    let freedom = segment.degrees_of_freedom.get().filter(|&freedom| freedom > 0.0).unwrap_or(f64::INFINITY);
    Variance::of_error(error * 2.0 / student_quantile(OUTSIDE, freedom), freedom)
}
