//! Claims that a quantity increases from each of several settings to the next, such as from one batch size to the next.

use walk_record::{Measured, Run};

use super::claim::{Exhibit, Verdict};
use crate::curve::StepValue;
use crate::statistics::{LEVEL, p_of_mean, sample_mean};
use crate::table::{decimals, scientific};
use crate::training::batch_size;

/// The significance of increases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trend {
    pub(super) verdict: Verdict,
    comparisons: usize,
    largest_p: f64,
}

impl Trend {
    /// From the p-value of each increase: all increase, each at [`LEVEL`] (an intersection-union test, which needs no correction;
    /// Berger, 1982), or one decreases, with Bonferroni's correction, or neither is significant.
    pub(super) fn new(p_values: &[f64]) -> Self {
        let comparisons = p_values.len();
        let verdict = match p_values {
            [] => Verdict::NotMeasured,
            _ if p_values.iter().any(|p| 1.0 - p < LEVEL / comparisons as f64) => Verdict::DoesNotHold,
            _ if p_values.iter().all(|&p| p < LEVEL) => Verdict::Holds,
            _ => Verdict::Undecided,
        };
        let worse = |a: f64, &b: &f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
        Self { verdict, comparisons, largest_p: p_values.iter().fold(0.0, worse) }
    }

    /// From values by setting and seed: Student's t-test of the differences between neighboring settings, paired by seed.
    pub(super) fn paired(by_setting: &[Vec<f64>]) -> Self {
        let p_values = by_setting.windows(2).map(|pair| {
            let differences: Vec<f64> = pair[0].iter().zip(&pair[1]).map(|(a, b)| b - a).collect();
            sample_mean(&differences).map_or(f64::NAN, p_of_mean)
        });
        Self::new(&p_values.collect::<Vec<f64>>())
    }

    /// The tests and their largest p-value.
    pub(super) fn text(&self, test: &str) -> String {
        let comparisons = match self.comparisons {
            1 => "1 comparison".into(),
            n => format!("{n} comparisons"),
        };
        format!("{test}, {comparisons}, largest p {}", scientific(self.largest_p, 1))
    }
}

/// The verdict and the test of a [`Trend::paired`]; there is none with one seed.
pub(super) fn paired_verdict(by_setting: &[Vec<f64>]) -> (Verdict, String) {
    match by_setting.first().map_or(0, Vec::len) {
        1 => (Verdict::Undecided, "no test within one run".into()),
        seeds => {
            let trend = Trend::paired(by_setting);
            (trend.verdict, trend.text(&paired_test(seeds)))
        }
    }
}

/// The test of a [`Trend::paired`].
pub(super) fn paired_test(seeds: usize) -> String {
    format!("{seeds} seeds: t-test paired by seed")
}

/// Runs of an exhibit's settings, paired by seed.
#[derive(Clone, Debug)]
pub(super) struct PairedRuns<'a> {
    /// Sorted by batch size, largest first.
    pub(super) settings: Vec<PairedSetting<'a>>,
}

/// A setting's runs with the seeds that all settings have, in the same order.
#[derive(Clone, Debug)]
pub(super) struct PairedSetting<'a> {
    pub(super) batch_size: usize,
    pub(super) runs: Vec<&'a Run>,
}

impl<'a> PairedRuns<'a> {
    /// `None` for fewer than two settings, and if they have no seed in common.
    pub(super) fn new(exhibit: &Exhibit<'a>) -> Option<Self> {
        let of_seed = |runs: &[&'a Run], seed: &Run| {
            runs.iter().copied().find(|run| run.value("seed") == seed.value("seed"))
        };
        let (first, others) = exhibit.settings.split_first()?;
        let is_common = |seed: &&Run| others.iter().all(|setting| of_seed(&setting.runs, seed).is_some());
        let seeds: Vec<&Run> = first.runs.iter().copied().filter(is_common).collect();
        let settings = exhibit.settings.iter().map(|setting| PairedSetting {
            batch_size: batch_size(setting.runs[0]),
            runs: seeds.iter().filter_map(|seed| of_seed(&setting.runs, seed)).collect(),
        });
        let mut settings: Vec<PairedSetting<'a>> = settings.collect();
        settings.sort_by_key(|setting| std::cmp::Reverse(setting.batch_size));
        (settings.len() > 1 && !seeds.is_empty()).then_some(Self { settings })
    }

    /// Seeds that all settings have.
    pub(super) fn seeds(&self) -> usize {
        self.settings[0].runs.len()
    }

    /// The runs of all settings.
    pub(super) fn runs(&self) -> impl Iterator<Item = &'a Run> {
        self.settings.iter().flat_map(|setting| setting.runs.iter().copied())
    }

    /// The last update for which every run has a value; 0 if a run has none.
    pub(super) fn last_step(&self, series: impl Fn(&Run) -> Vec<StepValue>) -> u64 {
        self.runs().map(|run| series(run).last().map_or(0, |value| value.step)).min().unwrap_or(0)
    }

    /// One value per run, by setting and seed.
    pub(super) fn values(&self, value: impl Fn(&Run) -> f64) -> Vec<Vec<f64>> {
        self.settings.iter().map(|setting| setting.runs.iter().map(|run| value(run)).collect()).collect()
    }

    /// One number per batch size, smallest first.
    pub(super) fn text(&self, numbers: &[String]) -> String {
        let texts = self.settings.iter().zip(numbers).rev();
        let texts = texts.map(|(setting, number)| format!("{number} (B = {})", setting.batch_size));
        texts.collect::<Vec<String>>().join(", ")
    }
}

/// The mean over seeds and its standard error, the value alone if there is one seed.
pub(super) fn over_seeds(values: &[f64]) -> String {
    let number = |value: f64| decimals(Measured::from(value), 3);
    match (values, sample_mean(values)) {
        ([value], _) => number(*value).text(),
        (_, Some(mean)) => format!("{} ± {}", number(mean.value), number(mean.error)),
        _ => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Simulated, share, three_errors, trials};

    #[test]
    fn all_must_rise_and_one_fall_is_enough() {
        let verdict = |p: &[f64]| Trend::new(p).verdict;
        assert_eq!(verdict(&[]), Verdict::NotMeasured);
        assert_eq!(verdict(&[0.01, 0.02]), Verdict::Holds);
        // each at 5%: if one does not rise, this happens in at most 5%, whatever the other does
        assert_eq!(verdict(&[0.01, 0.04]), Verdict::Holds);
        assert_eq!(verdict(&[0.01, 0.06]), Verdict::Undecided);
        assert_eq!(verdict(&[0.01, 0.98]), Verdict::DoesNotHold);
        assert_eq!(verdict(&[0.01, 0.97]), Verdict::Undecided);
        assert_eq!(verdict(&[0.01, f64::NAN]), Verdict::Undecided);
        assert!(Trend::new(&[0.01, f64::NAN]).text("t").ends_with("largest p -"));
    }

    #[test]
    fn pairs_show_what_a_spread_between_seeds_hides() {
        // the seeds differ by far more than the settings do
        let rising = [vec![1.0, 5.0, 9.0], vec![1.11, 5.1, 9.09]];
        assert_eq!(Trend::paired(&rising).verdict, Verdict::Holds);
        let [low, high] = rising.clone();
        assert_eq!(Trend::paired(&[high, low.clone()]).verdict, Verdict::DoesNotHold);
        assert_eq!(Trend::paired(&[low, vec![1.2, 5.2, 8.8]]).verdict, Verdict::Undecided);
        // equal values are no evidence
        assert_eq!(Trend::paired(&[vec![1.0, 2.0], vec![1.0, 2.0]]).verdict, Verdict::Undecided);
        // one seed is not enough for a paired test
        assert_eq!(Trend::paired(&[vec![1.0], vec![2.0]]).verdict, Verdict::Undecided);
        assert_eq!(over_seeds(&[2.0]), "2.000");
        assert_eq!(over_seeds(&[1.0, 2.0, 3.0]), "2.000 ± 0.577");
    }

    /// If nothing rises, a claim of three comparisons holds in at most 5% of trials, also for three seeds whose values are not
    /// normal; of two settings of which neither is larger, it holds in 5% and does not hold in 5%.
    #[test]
    fn paired_tests_are_wrong_as_rarely_as_they_say() {
        let (mut random, n_trials) = (Simulated::new(2), trials(4000));
        for seeds in [3, 5] {
            let (mut holds, mut fails) = (0, 0);
            for _ in 0..n_trials {
                // the effect of a seed on both settings is ten times as large as that on each one
                let both: Vec<f64> = (0..seeds).map(|_| 10.0 * random.normal()).collect();
                let mut setting = || both.iter().map(|both| both + random.normal()).collect::<Vec<f64>>();
                match Trend::paired(&[setting(), setting()]).verdict {
                    Verdict::Holds => holds += 1,
                    Verdict::DoesNotHold => fails += 1,
                    _ => {}
                }
            }
            let [holds, fails] = [holds, fails].map(|count| count as f64 / n_trials as f64);
            println!("{seeds} seeds: holds {holds:.4}, does not hold {fails:.4}");
            let error = three_errors(n_trials);
            assert!((holds - 0.05).abs() < error && (fails - 0.05).abs() < error, "{holds} {fails}");
            let all_rise = share(n_trials, || {
                let mut setting = |_| (0..seeds).map(|_| -(1.0 - random.uniform()).ln()).collect();
                let settings: Vec<Vec<f64>> = (0..4).map(&mut setting).collect();
                Trend::paired(&settings).verdict == Verdict::Holds
            });
            assert!(all_rise < 0.05, "{all_rise}");
        }
    }
}
