//! What the segments before say about the one at hand: how much chunks vary, and how much rare samples contribute.

use super::curve::Curve;
use super::sample::{Estimate, Sample, from_mean, median_size};
use super::spread::Spread;
use super::tail::Tail;

/// What remains of a contribution after a segment.
const MEMORY: f64 = 0.98;

/// Weight of the newest segment in a mean over the segments before.
const NEWEST: f64 = 0.05;

/// Segments of which all points see as many chunks as the middle, before remainders are known.
const FIRST_SEGMENTS: f64 = 8.0;

/// Values that the variance of the segments before counts as.
const PRIOR: f64 = 8.0;

/// Chunks are clipped where their bow is this many times the median below 0.
const CLIP: f64 = 2.0;

/// What is remembered of the segments before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct History {
    segments: f64,
    /// Variance of the chunks' clipped bows, in squares of their median absolute bow.
    bow_var: f64,
    /// What rare samples contributed lately to the bow, upward and downward, in units of the chunks' median absolute bow.
    bows: [Tail; 2],
    /// The same for the difference between the ends, in units of the chunks' median.
    slopes: Tail,
    /// By point, variance of the chunks' remainders, in the same unit as `bow_var`.
    remainder_vars: Vec<f64>,
    /// By point, what rare samples contributed lately to the remainder, in units of the chunks' median absolute bow.
    remainders: Vec<Tail>,
    /// By point, the largest ratio of late between the samples' remainders and their bows, both as root mean squares.
    ratios: Vec<f64>,
    /// Of the last segment of which all chunks were seen.
    pub(super) spread: Option<Spread>,
}

/// The sizes of one segment that its history is in units of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    /// Median absolute bow of the chunks.
    pub(super) bow: f64,
    /// Median absolute difference of the chunks between the ends, from its mean.
    slope: f64,
    /// What the rarest of the samples seen contribute to the bow, upward and downward.
    bows: [Tail; 2],
    /// To the difference between the ends.
    slopes: Tail,
}

impl Sizes {
    pub(super) fn of(curve: &Curve) -> Self {
        let bows = curve.of_samples().bows();
        let slopes = from_mean(curve.of_samples().slopes());
        Self {
            bow: median_size(&curve.of_chunks().bows()),
            slope: median_size(&from_mean(curve.of_chunks().slopes())),
            bows: [1.0, -1.0].map(|sign| Tail::of(bows.iter().map(|bow| sign * bow))),
            slopes: Tail::of(slopes.iter().map(|slope| slope.abs())),
        }
    }

    /// Bows with those far below 0 replaced by a bound. Their mean is no smaller than that of the bows themselves, so that what
    /// is below 0 for it is for them, and it varies less.
    pub(super) fn clipped(&self, bows: &[f64]) -> Vec<f64> {
        bows.iter().map(|bow| bow.max(-CLIP * self.bow)).collect()
    }
}

impl History {
    pub(super) fn new(points: usize) -> Self {
        Self {
            segments: 0.0,
            bow_var: 0.0,
            bows: [Tail::default(); 2],
            slopes: Tail::default(),
            remainder_vars: vec![0.0; points],
            remainders: vec![Tail::default(); points],
            ratios: vec![0.0; points],
            spread: None,
        }
    }

    /// Whether it has seen too few segments to know remainders.
    pub(super) fn is_new(&self) -> bool {
        self.segments < FIRST_SEGMENTS
    }

    /// The mean of the chunks' bows, clipped unless all are known.
    pub(super) fn mean_bow(&self, curve: &Curve, sizes: &Sizes) -> Estimate {
        let bows = curve.of_chunks().bows();
        if curve.parabola_is_complete() {
            return Sample::of(&bows, curve.total()).estimate();
        }
        let sample = Sample::of(&sizes.clipped(&bows), curve.total());
        self.joined(sample, self.bow_var * sizes.bow * sizes.bow).estimate()
    }

    /// The mean of the chunks' distances from the parabola at `point`, where their median absolute bow is `bow`.
    pub(super) fn mean_remainder(&self, curve: &Curve, point: usize, bow: f64) -> Estimate {
        if curve.grid.is_on_parabola(point) {
            return Estimate::EXACT_ZERO;
        }
        let sample = Sample::of(&curve.of_chunks().remainders(point), curve.total());
        self.joined(sample, self.remainder_vars[point] * bow * bow).estimate()
    }

    /// With the variance of the segments before, once there are enough of them.
    fn joined(&self, sample: Sample, var: f64) -> Sample {
        if self.is_new() || !var.is_finite() { sample } else { sample.with_prior(var, PRIOR) }
    }

    /// `guard` times what the share `rare` of the samples contributed to the bow lately, upward and downward, less what those
    /// that were seen contribute in the segment of `sizes`.
    pub(super) fn bows(&self, sizes: &Sizes, rare: f64, guard: f64) -> [f64; 2] {
        [0, 1].map(|side| {
            let seen = sizes.bows[side].at(rare);
            guard * seen.max(sizes.bow * self.bows[side].at(rare)) - seen
        })
    }

    /// `guard` times what it contributed to the difference between the ends.
    pub(super) fn slopes(&self, sizes: &Sizes, rare: f64, guard: f64) -> f64 {
        guard * sizes.slopes.at(rare).max(sizes.slope * self.slopes.at(rare))
    }

    /// `guard` times what it contributed to the remainder at `point`.
    pub(super) fn remainder(&self, point: usize, sizes: &Sizes, rare: f64, guard: f64) -> f64 {
        guard * sizes.bow * self.remainders[point].at(rare)
    }

    /// How large the remainders of samples at `point` are, in units of their bows: as lately or as in the segment at hand,
    /// whichever is more.
    pub(super) fn ratio(&self, curve: &Curve, point: usize) -> f64 {
        self.ratios[point].max(ratio(curve, point))
    }

    /// Takes note of a segment.
    pub(super) fn note(&mut self, curve: &Curve) {
        let sizes = Sizes::of(curve);
        let (chunks, samples) = (curve.of_chunks(), curve.of_samples());
        let variance = |values: &[f64]| Sample::of(values, curve.total()).var;
        let newest = NEWEST.max(1.0 / (self.segments + 1.0));
        self.segments += 1.0;
        let keep = |old: &mut Tail, new: Tail| *old = old.times(MEMORY).max(new);
        let average = |old: &mut f64, new: f64| {
            if new.is_finite() {
                *old += newest * (new - *old);
            }
        };
        if curve.parabola_is_complete() {
            self.spread = Spread::of(curve);
        }
        average(&mut self.bow_var, variance(&sizes.clipped(&chunks.bows())) / (sizes.bow * sizes.bow));
        for (old, new) in self.bows.iter_mut().zip(sizes.bows) {
            keep(old, new.times(1.0 / sizes.bow));
        }
        keep(&mut self.slopes, sizes.slopes.times(1.0 / sizes.slope));
        for point in (1..curve.grid.last()).filter(|&point| !curve.grid.is_on_parabola(point)) {
            if curve.seen(point) > 1 {
                let of_chunks = variance(&chunks.remainders(point));
                average(&mut self.remainder_vars[point], of_chunks / (sizes.bow * sizes.bow));
                let tail = Tail::of(samples.remainders(point).into_iter().map(f64::abs));
                keep(&mut self.remainders[point], tail.times(1.0 / sizes.bow));
                self.ratios[point] = (MEMORY * self.ratios[point]).max(ratio(curve, point));
            }
        }
    }

    /// Its numbers, to be kept with a checkpoint.
    pub(super) fn numbers(&self) -> Vec<f64> {
        let tails = self.bows.iter().chain([&self.slopes]).chain(&self.remainders);
        let tails: Vec<f64> = tails.flat_map(|tail| tail.numbers().to_vec()).collect();
        let spread = self.spread.as_ref().map_or(vec![], Spread::numbers);
        [&[self.segments, self.bow_var][..], &self.remainder_vars, &self.ratios, &tails, &spread].concat()
    }

    /// From its numbers; `None` if they are not those of `points` points.
    pub(super) fn from_numbers(numbers: &[f64], points: usize) -> Option<Self> {
        let &[segments, bow_var, ref rest @ ..] = numbers else { return None };
        let tails = (3 + points) * Tail::LEN;
        let without_spread = 2 * points + tails;
        if rest.len() != without_spread && rest.len() != without_spread + Spread::LEN {
            return None;
        }
        let (vars, rest) = rest.split_at(points);
        let (ratios, rest) = rest.split_at(points);
        let (tails, spread) = rest.split_at(tails);
        let mut tails = tails.chunks(Tail::LEN).map(Tail::from_numbers);
        let mut next = || tails.next().unwrap_or_default();
        let (bows, slopes) = ([next(), next()], next());
        let remainders = (0..points).map(|_| next()).collect();
        let (remainder_vars, ratios) = (vars.to_vec(), ratios.to_vec());
        let spread = Spread::from_numbers(spread);
        Some(Self { segments, bow_var, bows, slopes, remainder_vars, remainders, ratios, spread })
    }
}

/// Root mean square of the samples' remainders at `point`, in units of that of their bows; 0 where it is not known.
fn ratio(curve: &Curve, point: usize) -> f64 {
    let remainders = curve.of_samples().remainders(point);
    let bows = curve.of_samples().bows();
    let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    let ratio = (squares(&remainders) / squares(&bows[..remainders.len()])).sqrt();
    if ratio.is_finite() { ratio } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three points and chunks of two samples, whose bows at the middle are given.
    fn curve(bows: &[f64]) -> Curve {
        let mut curve = Curve::new(3, (0..bows.len() / 2).collect(), 2);
        for (point, factor) in [(0, 0.0), (1, 1.0), (2, 0.0)] {
            curve.add(point, &bows.iter().map(|bow| factor * bow).collect::<Vec<f64>>());
        }
        curve
    }

    #[test]
    fn what_rare_samples_did_is_expected_again_in_proportion_and_forgotten_slowly() {
        let mut history = History::new(3);
        let quiet = curve(&[-1.0; 20]);
        let mut bows = [-1.0; 20];
        bows[7] = 99.0;
        history.note(&curve(&bows));
        // one in 20 contributed 99 / 20 where bows were typically 1; now they are half as large
        let small = curve(&[-0.5; 20]);
        let expected = history.bows(&Sizes::of(&small), 0.05, 1.0)[0];
        assert!((expected - 0.5 * 99.0 / 20.0).abs() < 1e-12, "{expected}");
        assert_eq!(History::from_numbers(&history.numbers(), 3).as_ref(), Some(&history));
        (0..34).for_each(|_| history.note(&quiet));
        let later = history.bows(&Sizes::of(&quiet), 0.05, 1.0)[0];
        assert!((later / (99.0 / 20.0) - 0.5).abs() < 0.01, "{later}");
        assert!(!history.is_new() && History::from_numbers(&[1.0], 3).is_none());
    }

    #[test]
    fn clipping_raises_the_mean_and_leaves_what_is_near_the_median() {
        let curve = curve(&[-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -50.0, -50.0]);
        let bows = curve.of_chunks().bows();
        assert_eq!(Sizes::of(&curve).clipped(&bows), [-1.0, -1.0, -1.0, -2.0]);
    }
}
