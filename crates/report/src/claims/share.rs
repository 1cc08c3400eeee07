//! Bounds on the share of updates at which an event happens, for dependent updates and seeds that differ.

use crate::statistics::{LEVEL, NEIGHBOR_CORRELATION, proportion_bounds, student_quantile};

/// Number of updates equivalent to one independent update if neighbors have the correlation r = [`NEIGHBOR_CORRELATION`]:
/// (1 + r) / (1 - r). Assumed unless the data show more dependence, in particular where the event never happened.
const UPDATES_PER_INDEPENDENT: f64 = (1.0 + NEIGHBOR_CORRELATION) / (1.0 - NEIGHBOR_CORRELATION);

/// The number of updates of a unit at which the event happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UnitCount {
    pub(super) count: usize,
    pub(super) total: usize,
}

/// Bounds on a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ShareBounds {
    pub(super) lower: f64,
    pub(super) upper: f64,
}

impl ShareBounds {
    /// Bounds on the share, each one-sided at [`LEVEL`], from units that are independent, such as seeds.
    ///
    /// They are Clopper-Pearson bounds for an effective number of updates n* instead of their number n (Korn and Graubard,
    /// Survey Methodology 24, 1998): n* = p (1 - p) / var(p) (t_{n-1} / t_{k-1})^2, with the variance of p between the k units
    /// and quantiles of Student's t that account for how few they are, and at most n / [`UPDATES_PER_INDEPENDENT`].
    pub(super) fn new(units: &[UnitCount]) -> Self {
        let units: Vec<UnitCount> = units.iter().copied().filter(|unit| unit.total > 0).collect();
        let sum = |number: fn(&UnitCount) -> usize| units.iter().map(number).sum::<usize>() as f64;
        let (count, total, k) = (sum(|unit| unit.count), sum(|unit| unit.total), units.len() as f64);
        if total <= 0.0 {
            return Self { lower: 0.0, upper: 1.0 };
        }
        let share = count / total;
        let squared = |unit: &UnitCount| (unit.count as f64 - share * unit.total as f64).powi(2);
        let variance = k / (k - 1.0) * units.iter().map(squared).sum::<f64>() / (total * total);
        let mut effective = total / UPDATES_PER_INDEPENDENT;
        if variance > 0.0 {
            let few = student_quantile(2.0 * LEVEL, total - 1.0) / student_quantile(2.0 * LEVEL, k - 1.0);
            effective = effective.min(share * (1.0 - share) / variance * few * few);
        }
        let [lower, upper] = proportion_bounds(share * effective, effective);
        Self { lower, upper }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Simulated, share, three_errors, trials};

    #[test]
    fn nothing_among_few_updates_bounds_little() {
        let bounds = |units: usize| ShareBounds::new(&vec![UnitCount { count: 0, total: 40 }; units]);
        // 1 - 0.05^(3.76 / n): the rule of three's exact form for n / 3.76 independent updates
        for units in [1, 3, 5] {
            let n = 40.0 * units as f64;
            let expected = 1.0 - 0.05f64.powf(UPDATES_PER_INDEPENDENT / n);
            assert!((bounds(units).upper - expected).abs() < 1e-9 && bounds(units).lower.to_bits() == 0);
        }
        assert_eq!(ShareBounds::new(&[]), ShareBounds { lower: 0.0, upper: 1.0 });
        let all = ShareBounds::new(&[UnitCount { count: 40, total: 40 }]);
        assert!(all.upper.to_bits() == 1f64.to_bits() && (all.lower - (1.0 - bounds(1).upper)).abs() < 1e-9);
    }

    #[test]
    fn units_that_differ_widen_the_bounds() {
        let bounds =
            |counts: [usize; 3]| ShareBounds::new(&counts.map(|count| UnitCount { count, total: 400 }));
        let (alike, different) = (bounds([40, 40, 40]), bounds([10, 40, 70]));
        assert!(different.lower < alike.lower && alike.upper < different.upper);
        assert!(alike.lower < 0.1 && 0.1 < alike.upper);
    }

    /// Each bound misses the share in at most 5% of trials: for moves whose neighbors have a correlation of 0.58, in runs of 39
    /// and 160 updates, for one run and for several seeds, with shares that differ between seeds by a standard deviation of a
    /// third of themselves or not at all.
    #[test]
    fn bounds_hold_for_dependent_updates_and_seeds_that_differ() {
        let (mut random, n_trials) = (Simulated::new(1), trials(1000));
        for (updates, seeds, p, spread) in [
            (39, 1, 0.05, 0.0),
            (39, 1, 0.5, 0.0),
            (160, 1, 0.1, 0.0),
            (39, 3, 0.05, 0.0),
            (39, 3, 0.5, 0.0),
            (160, 3, 0.1, 0.0),
            (160, 3, 0.1, 1.0 / 3.0),
            (160, 5, 0.05, 1.0 / 3.0),
            (160, 5, 0.3, 1.0 / 3.0),
            (39, 5, 0.1, 0.0),
        ] {
            let (mut below, mut above) = (0, 0);
            for _ in 0..n_trials {
                let units = (0..seeds).map(|_| {
                    // uniform, with mean p
                    let of_seed = p * (1.0 + spread * 3f64.sqrt() * (2.0 * random.uniform() - 1.0));
                    let count = random.dependent_count(of_seed, NEIGHBOR_CORRELATION, updates);
                    UnitCount { count, total: updates }
                });
                let bounds = ShareBounds::new(&units.collect::<Vec<_>>());
                below += usize::from(p < bounds.lower);
                above += usize::from(bounds.upper < p);
            }
            let [below, above] = [below, above].map(|misses| misses as f64 / n_trials as f64);
            println!(
                "{updates} updates, {seeds} seeds, share {p} ± {spread:.2}: {below:.3} below, {above:.3} above"
            );
            let limit = 0.05 + three_errors(n_trials);
            assert!(below < limit && above < limit, "{updates} {seeds} {p} {spread}: {below} {above}");
        }
        // without allowing for dependence, a run of 39 updates would bound a share of a tenth wrongly more often
        let naive = share(n_trials, || {
            let count = random.dependent_count(0.1, NEIGHBOR_CORRELATION, 39);
            // 29 independent updates without an event exclude a share of a tenth
            count == 0
        });
        assert!(naive > 0.05 + three_errors(n_trials), "{naive}");
    }
}
