//! Eq. 3: the variance of batch gradients is proportional to 1/B - 1/N; and the rise of the gradient noise scale.

use walk_record::rows::{Covariance, VarianceCheck};
use walk_record::{Measured, Stamped};

use super::claim::{Claim, Exhibit, Verdict, by_step, stated};
use super::run_number::{RunNumber, early, late};
use super::trend::over_seeds;
use crate::covariance::noise_scale;
use crate::curve::{StepValue, step_values};
use crate::statistics::{FitPoint, LineFit, Mean, mean, sample_mean};
use crate::table::decimals;

/// Eq. 3 holds if the slope is within this distance of 1 with confidence.
const MARGIN: f64 = 0.1;

/// At each measurement of each setting, the slope of ln E‖g_B - ḡ‖² against ln(1/B - 1/N) is 1.
pub(super) fn gradient_variance(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "Eq. 3: the variance of gradients is proportional to 1/B - 1/N";
    Claim::for_each_setting(claim, exhibit, |subject, runs| {
        let steps = by_step(runs, |run| run.rows::<Covariance>().collect(), |row| row.at.step);
        let tested = steps.into_iter().map(|rows| {
            let epoch = rows[0].at.epoch;
            test(format!("{}: {subject}, epoch {epoch}", stated(claim, rows.len())), exhibit, &rows)
        });
        tested.collect()
    })
}

/// The logarithm of the gradient noise scale is larger in the last third of the measurements than in the first (McCandlish et al., 2018,
/// arXiv 1812.06162).
pub(super) fn noise_scale_rises(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the gradient noise scale rises over training";
    let what = "mean of ln(tr C / ‖ḡ‖²), last third of the measurements minus first third";
    RunNumber { claim, what, claimed: [0.0, f64::INFINITY] }.test(exhibit, |run| {
        let scales = step_values(run, noise_scale);
        let mean_ln =
            |part: &[StepValue]| mean(&part.iter().map(|found| found.value.ln()).collect::<Vec<f64>>()).get();
        Some(mean_ln(late(&scales))? - mean_ln(early(&scales))?)
    })
}

/// The slope is the mean over runs; for a single run, its error follows from the batches of the checks.
fn test(claim: String, exhibit: &Exhibit<'_>, rows: &[Stamped<'_, Covariance>]) -> Claim {
    let slopes: Option<Vec<Mean>> = rows.iter().map(|row| slope(row)).collect();
    let slope = slopes.and_then(|slopes| match slopes.as_slice() {
        [slope] => Some(*slope),
        several => sample_mean(&several.iter().map(|slope| slope.value).collect::<Vec<f64>>()),
    });
    let Some(slope) = slope else { return Claim::not_measured(claim, exhibit) };
    let ratio = |check: &VarianceCheck| {
        let of_size = |row: &Stamped<'_, Covariance>| {
            row.checks.iter().find(|other| other.batch_size == check.batch_size).map(VarianceCheck::ratio)
        };
        let ratios: Vec<f64> = rows.iter().filter_map(of_size).map(Measured::or_nan).collect();
        format!("{} (B = {})", over_seeds(&ratios), check.batch_size)
    };
    let ratios: Vec<String> = rows[0].checks.iter().map(ratio).collect();
    let reach = slope.one_sided_reach();
    let units = match rows.len() {
        1 => "batches of this run".into(),
        seeds => format!("{seeds} seeds"),
    };
    let number = |value: f64| decimals(value, 3);
    Claim {
        claim,
        exhibit: exhibit.name.into(),
        measured: format!("measured / predicted {}", ratios.join(", ")),
        statistic: format!(
            "{units}: slope {} ± {}, {} to {} by Student's t; within {MARGIN} of 1",
            number(slope.value),
            number(slope.error),
            number(slope.value - reach),
            number(slope.value + reach)
        ),
        verdict: Verdict::of_interval(
            [slope.value - reach, slope.value + reach],
            [1.0 - MARGIN, 1.0 + MARGIN],
        ),
    }
}

/// The slope over a row's checks.
fn slope(row: &Covariance) -> Option<Mean> {
    let points: Vec<FitPoint> = row.checks.iter().filter_map(point).collect();
    Some(LineFit::new(&points)?.slope)
}

/// The logarithms of a check; that of the prediction is ln(1/B - 1/N) plus a constant.
fn point(check: &VarianceCheck) -> Option<FitPoint> {
    let (predicted, measured) = (check.predicted.get()?, check.measured.get()?);
    let error = check.standard_error.get()? / measured;
    let freedom = check.batches.saturating_sub(1) as f64;
    let y = Mean { value: measured.ln(), error, freedom };
    (predicted > 0.0 && measured > 0.0).then(|| FitPoint { x: predicted.ln(), y })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Simulated, three_errors, trials};

    /// Checks at three batch sizes whose squared deviations have the mean that Eq. 3 predicts and a relative standard deviation
    /// of `spread`, 20 batches each.
    fn checks(spread: f64, random: &mut Simulated) -> Vec<VarianceCheck> {
        let check = |batch_size: usize| {
            let predicted = 1.0 / batch_size as f64 - 1.0 / 2000.0;
            // log-normal
            let width = (1.0 + spread * spread).ln().sqrt();
            let mut draw = || predicted * (width * random.normal() - 0.5 * width * width).exp();
            let values: Vec<f64> = (0..20).map(|_| draw()).collect();
            let mean = sample_mean(&values).unwrap();
            VarianceCheck {
                batch_size,
                batches: 20,
                measured: mean.value.into(),
                standard_error: mean.error.into(),
                predicted: predicted.into(),
            }
        };
        [50, 200, 1000].map(check).into()
    }

    /// Within one run, each bound of the slope misses 1 in 5% of trials, within half a percent.
    #[test]
    fn the_slope_of_one_run_has_the_error_of_its_batches() {
        let (mut random, n_trials) = (Simulated::new(3), trials(4000));
        for spread in [0.1, 0.4] {
            let (mut below, mut above) = (0, 0);
            for _ in 0..n_trials {
                let points: Vec<FitPoint> = checks(spread, &mut random).iter().filter_map(point).collect();
                let slope = LineFit::new(&points).unwrap().slope;
                below += usize::from(1.0 < slope.value - slope.one_sided_reach());
                above += usize::from(1.0 > slope.value + slope.one_sided_reach());
            }
            let [below, above] = [below, above].map(|misses| misses as f64 / n_trials as f64);
            println!("relative deviation {spread}: 1 is below in {below:.4}, above in {above:.4}");
            // the logarithm of a mean of 20 is not quite normal: 5.5% at most
            let error = three_errors(n_trials);
            assert!(below < 0.055 + error && above < 0.055 + error, "{below} {above}");
            assert!(below > 0.045 - error && above > 0.045 - error, "{below} {above}");
        }
    }
}
