//! Figures of a value against the number of updates.

use walk_record::rows::RowKind;
use walk_record::{Measured, Run};

use crate::chart::{Chart, Series};
use crate::figure::Figure;
use crate::table::cells;
use crate::training::setting_numbers;

/// Points of a curve, at most: of more values, means over equal stretches are drawn, so that lines stay lines.
const MAX_POINTS: usize = 200;

/// A value measured after a number of updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepValue {
    pub(crate) step: u64,
    pub(crate) value: f64,
}

/// The known values of a run's rows of one kind.
pub(crate) fn step_values<T: RowKind>(run: &Run, value: impl Fn(&T) -> Measured) -> Vec<StepValue> {
    run.rows::<T>()
        .filter_map(|row| Some(StepValue { step: row.at.step, value: value(&row).get()? }))
        .collect()
}

/// A figure of the values of each run that has any, on the axes of `chart`.
pub(crate) fn curves(
    name: &str,
    mut chart: Chart,
    runs: &[Run],
    values: impl Fn(&Run) -> Vec<StepValue>,
) -> Figure {
    let measured = runs.iter().map(|run| (run, values(run))).filter(|(_, values)| !values.is_empty());
    let (measured_runs, values): (Vec<&Run>, Vec<Vec<StepValue>>) = measured.unzip();
    let mut rows = vec![];
    for ((run, values), number) in measured_runs.iter().zip(values).zip(line_numbers(&measured_runs)) {
        let stretch = values.len().div_ceil(MAX_POINTS);
        let legend = match stretch {
            1 => run.label.clone(),
            _ => format!("{} (means of {stretch} updates)", run.label),
        };
        let points = values.chunks(stretch).map(|part| {
            let mean =
                |number: fn(&StepValue) -> f64| part.iter().map(number).sum::<f64>() / part.len() as f64;
            (mean(|value| value.step as f64), mean(|value| value.value))
        });
        chart.series.push(Series::new(number, legend, points.collect()));
        rows.extend(values.iter().map(|found| cells([&run.label, &found.step, &found.value])));
    }
    Figure::new(name, chart, &format!("run,step,{name}"), rows)
}

/// The number of each run's line, which its color follows from: of several settings with several seeds each, that of the
/// setting.
fn line_numbers(runs: &[&Run]) -> Vec<usize> {
    let settings = setting_numbers(runs);
    let n_settings = settings.iter().max().map_or(0, |last| last + 1);
    if n_settings > 1 { settings } else { (0..runs.len()).collect() }
}

#[cfg(test)]
mod tests {
    use walk_record::ConfigValue;

    use super::*;
    use crate::fixture;

    #[test]
    fn a_long_curve_is_thinned_and_a_run_without_values_has_none() {
        let values = |run: &Run| {
            let count = if run.label == "long" { 401 } else { 0 };
            (1..=count).map(|step| StepValue { step, value: step as f64 }).collect()
        };
        let figure =
            curves("f", Chart::default(), &[fixture::run("none", []), fixture::run("long", [])], values);
        let [series] = figure.chart.series.as_slice() else { panic!("{:?}", figure.chart.series) };
        assert_eq!((series.number, series.name.as_deref()), (0, Some("long (means of 3 updates)")));
        assert_eq!(
            (series.points.len(), series.points[0], series.points[133]),
            (134, (2.0, 2.0), (400.5, 400.5))
        );
        assert_eq!(figure.data.rows.len(), 401);
    }

    #[test]
    fn seeds_of_a_setting_have_its_color() {
        let run = |size: i64, seed: i64| {
            let values = [("optim.batch_size", size), ("seed", seed)];
            let config = values.map(|(key, value)| ConfigValue { key: key.into(), value: value.into() });
            Run { config: config.into(), ..fixture::run("run", []) }
        };
        let runs = [run(10, 1), run(10, 2), run(100, 1), run(100, 2)];
        let runs: Vec<&Run> = runs.iter().collect();
        assert_eq!(line_numbers(&runs), [0, 0, 1, 1]);
        // of one setting alone, the seeds are told apart
        assert_eq!(line_numbers(&runs[..2]), [0, 1]);
    }
}
