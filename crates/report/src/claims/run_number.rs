//! Claims about a number that each run has: with seeds as units, its mean lies within a claimed range.

use walk_record::{Measured, Run};

use super::claim::{Claim, Exhibit, Verdict, stated};
use super::trend::over_seeds;
use crate::plural::counted;
use crate::statistics::sample_mean;
use crate::table::decimals;

/// A claim about a number of each run.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunNumber<'t> {
    pub(super) claim: &'t str,
    /// What the number is.
    pub(super) what: &'t str,
    /// The range that the claim is true for; infinite where it has no end.
    pub(super) claimed: [f64; 2],
}

impl RunNumber<'_> {
    /// Tests it for each setting: by the bounds of Student's t on the mean over seeds, each one-sided at 5%. Runs whose number is not known
    /// or not finite are left out; with one seed, there is no test.
    pub(super) fn test(self, exhibit: &Exhibit<'_>, number: impl Fn(&Run) -> Option<f64>) -> Vec<Claim> {
        Claim::for_each_setting(self.claim, exhibit, |subject, runs| {
            let values: Vec<f64> =
                runs.iter().filter_map(|run| number(run).filter(|value| value.is_finite())).collect();
            if values.is_empty() {
                vec![]
            } else {
                vec![self.of_values(exhibit, subject, &values, runs.len())]
            }
        })
    }

    /// From the values that are known of so many runs.
    fn of_values(self, exhibit: &Exhibit<'_>, subject: &str, values: &[f64], runs: usize) -> Claim {
        let seeds = match values.len() {
            known if known < runs => format!("{known} of {runs} seeds"),
            known => counted(known, "seed"),
        };
        let (verdict, statistic) = match sample_mean(values) {
            None => (Verdict::Undecided, format!("{seeds}: no test")),
            Some(mean) => {
                let reach = mean.one_sided_reach();
                let bounds = [mean.value - reach, mean.value + reach];
                let [low, high] = bounds.map(text);
                let statistic = format!("{seeds}: 95% bounds {low} and {high}, claimed {}", self.range());
                (Verdict::of_interval(bounds, self.claimed), statistic)
            }
        };
        Claim {
            claim: format!("{}: {subject}", stated(self.claim, runs)),
            exhibit: exhibit.name.into(),
            measured: format!("{}: {}", self.what, over_seeds(values)),
            statistic,
            verdict,
        }
    }

    fn range(self) -> String {
        let end = |value: f64| format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
        match self.claimed {
            [low, f64::INFINITY] => format!("above {}", end(low)),
            [f64::NEG_INFINITY, high] => format!("below {}", end(high)),
            [low, high] => format!("{} to {}", end(low), end(high)),
        }
    }
}

fn text(value: f64) -> String {
    decimals(Measured::from(value), 3).text()
}

/// The last third of a run's values, in which it has settled.
pub(super) fn late<T>(values: &[T]) -> &[T] {
    &values[values.len() - values.len().div_ceil(3)..]
}

/// The first third of a run's values.
pub(super) fn early<T>(values: &[T]) -> &[T] {
    &values[..values.len().div_ceil(3)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::Setting;
    use crate::fixture;
    use crate::simulation::{Simulated, three_errors, trials};

    fn claims(values: &[f64]) -> Vec<Claim> {
        let rows = |&value: &f64| fixture::run("run", [fixture::row(1, 1, fixture::distance(value))]);
        let runs: Vec<Run> = values.iter().map(rows).collect();
        let exhibit = Exhibit { name: "x", claims: &[], settings: vec![Setting::new("a", &runs)] };
        let number = RunNumber { claim: "it is about 1", what: "it", claimed: [0.9, 1.1] };
        let value = |run: &Run| Some(run.rows::<walk_record::rows::Distance>().next()?.distance.or_nan());
        number.test(&exhibit, value)
    }

    #[test]
    fn a_mean_is_inside_outside_or_undecided() {
        let verdict = |values: &[f64]| claims(values)[0].verdict;
        assert_eq!(verdict(&[0.99, 1.0, 1.01]), Verdict::Holds);
        assert_eq!(verdict(&[0.79, 0.8, 0.81]), Verdict::DoesNotHold);
        assert_eq!(verdict(&[0.8, 1.0, 1.2]), Verdict::Undecided);
        assert_eq!(verdict(&[1.0]), Verdict::Undecided);
        let found = claims(&[0.99, 1.0, 1.01]).remove(0);
        assert_eq!(found.measured, "it: 1.000 ± 0.006");
        assert_eq!(found.statistic, "3 seeds: 95% bounds 0.983 and 1.017, claimed 0.9 to 1.1");
        assert!(claims(&[1.0])[0].claim.starts_with("it is about 1, in this run: "));
    }

    /// At the end of the claimed range, where the claim is just not true, it is confirmed in 5% of trials.
    #[test]
    fn a_claim_that_is_not_true_is_confirmed_as_rarely_as_stated() {
        let (mut random, n_trials) = (Simulated::new(7), trials(2000));
        let mut holds = 0;
        for _ in 0..n_trials {
            let values: Vec<f64> = (0..3).map(|_| 1.1 + 0.003 * random.normal()).collect();
            holds += usize::from(claims(&values)[0].verdict == Verdict::Holds);
        }
        let share = holds as f64 / n_trials as f64;
        assert!((share - 0.05).abs() < three_errors(n_trials), "{share}");
    }
}
