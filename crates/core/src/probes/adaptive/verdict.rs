//! Whether a point is a barrier, from the samples seen.
//!
//! With l_i(α) the loss of chunk i, an interior point is certainly not a barrier if the mean of its distance from the chord,
//! d_i(α) = l_i(α) - (1-α) l_i(0) - α l_i(1), is certainly below 0: L(α) is then below the chord and hence below the higher end,
//! and noise that is linear along the step cancels. It is not a barrier either if it is certainly below one end, and it is a
//! barrier if it is certainly above both. The curve is nearly a parabola, so the middle serves as a control variate:
//! d(α) = 4α(1-α) d(½) + r(α), and few chunks are enough for the remainder r. Bows d_i(½) far below 0 are clipped, which only
//! raises their mean.
//!
//! "Certainly" has two conditions. A mean of chunks must differ from 0 by Student's t, at its share of the error rate; variances
//! combine those of the chunks seen with those of earlier segments. A point is tested again whenever more chunks were seen: its
//! test number k spends 1 / (k (k + 1)) of the point's error rate, half of it at once, and all of them together do not exceed
//! it. Furthermore, rare samples must not matter. Those that a look of this size may have missed altogether, with a probability
//! of `error_rate` or more, are a certain share of all samples. It is assumed that **rare samples contribute at most `guard`
//! times as much as equally rare samples contributed recently**, in units of the chunks' median; with this in place of the
//! contribution of those that were seen, the mean must keep its sign.
//!
//! If a point is a barrier, the verdict "none" requires that one of its own tests fails, whatever the other points do: these
//! share the error rate. If no point is one, the verdict "barrier" requires that the test of some point fails: points share
//! it then, too.

use super::curve::Curve;
use super::history::{History, Sizes};
use super::sample::{Estimate, Sample};
use super::tail::may_be_missed;

/// Parameters of a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standard {
    /// Probability that any of the tests of a point is wrong by Student's t.
    pub(super) level: f64,
    /// Probability that all rare samples that matter are missed.
    pub(super) missed: f64,
    /// Rare samples left out may contribute this many times as much as such samples contributed recently.
    pub(super) guard: f64,
}

impl Standard {
    /// The share of the samples that `seen` chunks may have missed altogether.
    fn rare(&self, seen: usize, curve: &Curve) -> f64 {
        may_be_missed(seen * curve.chunk, curve.total() * curve.chunk, self.missed)
    }
}

/// The evidence from the chunks of a look.
pub(super) struct Look {
    standard: Standard,
    sizes: Sizes,
    /// The share of the samples that may have been missed altogether.
    rare: f64,
    /// Of the bows, clipped unless all are known.
    bow: Estimate,
    slopes: Vec<f64>,
    bows: Vec<f64>,
    /// Sums of the absolute bows of the first samples, so many.
    bow_sums: Vec<f64>,
    /// The possible contribution of rare samples to the bow, upward and downward.
    rare_bows: [f64; 2],
    /// Their possible contribution to the difference between the ends.
    rare_slopes: f64,
}

/// The verdict of a look on a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Barrier,
    NoBarrier,
    /// More chunks of this point may decide.
    NeedsPoint,
    /// More chunks of the parabola may decide.
    NeedsParabola,
}

/// A mean that is to be shown to be below 0, and what rare samples might add to it.
#[derive(Clone, Copy, Debug)]
struct Question {
    parabola: Estimate,
    remainder: Estimate,
    /// The possible contribution of rare samples to the parabola.
    parabola_tail: f64,
    /// Their possible contribution to the remainder.
    remainder_tail: f64,
    complete: Complete,
}

/// The mean remainder at a point, and the possible contribution of rare samples.
struct Remainder {
    mean: Estimate,
    tail: f64,
}

/// Whether all chunks were seen.
#[derive(Clone, Copy, Debug)]
struct Complete {
    parabola: bool,
    point: bool,
}

impl Look {
    pub(super) fn new(curve: &Curve, history: &History, standard: Standard) -> Self {
        let (sizes, chunks) = (Sizes::of(curve), curve.of_chunks());
        let (bows, slopes) = (chunks.bows(), chunks.slopes());
        let bow = history.mean_bow(curve, &sizes);
        let rare = standard.rare(bows.len(), curve);
        let rare_bows = history.bows(&sizes, rare, standard.guard);
        let rare_slopes = history.slopes(&sizes, rare, standard.guard);
        let mut bow_sums = vec![0.0];
        bow_sums.extend(curve.of_samples().bows().iter().scan(0.0, |sum, bow| {
            *sum += bow.abs();
            Some(*sum)
        }));
        Self { standard, sizes, rare, bow, slopes, bows, bow_sums, rare_bows, rare_slopes }
    }

    /// What is known about `point`, of which this is test number `test` (from 1).
    pub(super) fn finding(&self, point: usize, test: usize, curve: &Curve, history: &History) -> Finding {
        let level = self.standard.level / (test * (test + 1)) as f64;
        let share = curve.grid.share(point);
        let Remainder { mean: remainder, tail: remainder_tail } = self.remainder(point, curve, history);
        let [upward, downward] = self.rare_bows.map(|bows| share * bows);
        let complete = Complete {
            parabola: curve.parabola_is_complete(),
            point: curve.grid.is_on_parabola(point) || curve.is_complete(point),
        };
        let chord = Question {
            parabola: self.bow.times(share),
            remainder,
            parabola_tail: upward,
            remainder_tail,
            complete,
        };
        // at equal shares: by the chord, or below one of the ends
        let none = level / 3.0;
        let ends = [0, curve.grid.last()].map(|end| {
            let against = self.against(point, end, curve);
            let slopes = weight(curve.grid.alphas[point], end).abs() * self.rare_slopes;
            let question = |sign: f64, bows: f64| Question {
                parabola: against.times(sign),
                remainder: remainder.times(sign),
                parabola_tail: slopes + bows,
                ..chord
            };
            [question(1.0, upward), question(-1.0, downward)]
        });
        let is_none = |is_sure: fn(&Question, f64) -> bool| {
            is_sure(&chord, none) || ends.iter().any(|[above, _]| is_sure(above, none))
        };
        let barrier = level / (curve.grid.last() - 1) as f64;
        let is_barrier =
            |is_sure: fn(&Question, f64) -> bool| ends.iter().all(|[_, below]| is_sure(below, barrier));
        if is_none(Question::is_sure) {
            return Finding::NoBarrier;
        }
        if is_barrier(Question::is_sure) {
            return Finding::Barrier;
        }
        // would more chunks of only this point suffice?
        let would_do = is_none(Question::parabola_is_sure) || is_barrier(Question::parabola_is_sure);
        if curve.seen(point) < curve.seen_by_parabola() && (would_do || complete.parabola) {
            Finding::NeedsPoint
        } else {
            Finding::NeedsParabola
        }
    }

    /// What is known of the remainder at `point`.
    fn remainder(&self, point: usize, curve: &Curve, history: &History) -> Remainder {
        if curve.grid.is_on_parabola(point) {
            return Remainder { mean: Estimate::EXACT_ZERO, tail: 0.0 };
        }
        let (seen_here, guard) = (curve.seen(point) * curve.chunk, self.standard.guard);
        let mean_bow = |samples: usize| self.bow_sums[samples] / samples as f64;
        let known = self.bow_sums.len() - 1;
        // samples whose bows are known, but not their remainders here: together they may be larger than those seen here
        let larger = (mean_bow(known) - mean_bow(known.min(seen_here))).max(0.0);
        // and those that were not seen at all
        let unseen = history.remainder(point, &self.sizes, self.rare, guard);
        Remainder {
            mean: history.mean_remainder(curve, point, self.sizes.bow),
            tail: unseen + guard * history.ratio(curve, point) * larger,
        }
    }

    /// How far the parabola at `point` lies above the end number `end`.
    fn against(&self, point: usize, end: usize, curve: &Curve) -> Estimate {
        let (weight, share) = (weight(curve.grid.alphas[point], end), curve.grid.share(point));
        let pairs = self.slopes.iter().zip(&self.bows);
        let values: Vec<f64> = pairs.map(|(slope, bow)| weight * slope + share * bow).collect();
        Sample::of(&values, curve.total()).estimate()
    }
}

/// The part of the difference between the ends by which the loss at `alpha` lies above the end: on its chord l(α) - l(0) is
/// α (l(1) - l(0)), and l(α) - l(1) is -(1-α) (l(1) - l(0)).
fn weight(alpha: f64, end: usize) -> f64 {
    if end == 0 { alpha } else { alpha - 1.0 }
}

impl Question {
    /// Whether the mean is certainly below 0.
    fn is_sure(&self, level: f64) -> bool {
        let sum = self.parabola.plus(self.remainder);
        sum.is_below_zero(level, self.complete.parabola && self.complete.point)
            && self.parabola_tail + self.remainder_tail <= -sum.value
    }

    /// Whether the mean would certainly be below 0 if its remainder were 0.
    fn parabola_is_sure(&self, level: f64) -> bool {
        self.parabola.is_below_zero(level, self.complete.parabola)
            && self.parabola_tail <= -self.parabola.value
    }
}
