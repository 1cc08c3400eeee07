//! Tables and figures of probes that have none of their own, made from the scalars of their rows.

use std::collections::BTreeMap;

use walk_record::{Measured, Row, Run};

use crate::chart::Chart;
use crate::curves::{StepValue, curves};
use crate::figure::{Figure, file_name};
use crate::statistics::mean;
use crate::table::{Table, short};

/// For each kind of probe rows that is not `listed`, one row per run and epoch: the number of measurements and the mean of each
/// scalar.
pub(crate) fn tables(runs: &[Run], listed: &[&str]) -> Vec<Table> {
    unlisted(runs, listed).into_iter().map(|(kind, scalars)| table(runs, kind, &scalars)).collect()
}

/// For each kind of probe rows that is not `listed` and each of its scalars, the scalar against the update, if some run has
/// two values of it.
pub(crate) fn figures(runs: &[Run], listed: &[&str]) -> Vec<Figure> {
    let figure = |kind: &str, scalar: &str| {
        let chart = Chart::new(format!("{kind}: {scalar}"), "update", scalar);
        let measured = |row: &Row| Some(StepValue { step: row.at.step, value: value(row, scalar).get()? });
        curves(&file_name(&format!("{kind}-{scalar}")), chart, runs, |run| {
            rows(run, kind).filter_map(measured).collect()
        })
    };
    let kinds = unlisted(runs, listed);
    let figures = kinds.iter().flat_map(|(kind, scalars)| scalars.iter().map(|scalar| figure(kind, scalar)));
    // a single value makes no curve
    figures.filter(|figure| figure.chart.series.iter().any(|series| series.points.len() > 1)).collect()
}

/// The kinds of probe rows that are not `listed` and name any scalars, each with these in the order in which they were recorded.
fn unlisted(runs: &[Run], listed: &[&str]) -> BTreeMap<&'static str, Vec<String>> {
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let kind_of_row = runs.iter().flat_map(|run| &run.records).map(|row| &row.kind);
    for kind in kind_of_row.filter(|kind| kind.is_of_probe() && !listed.contains(&kind.name())) {
        let known = kinds.entry(kind.name()).or_default();
        for scalar in kind.scalars() {
            if !known.contains(&scalar.name) {
                known.push(scalar.name);
            }
        }
    }
    kinds.retain(|_, scalars| !scalars.is_empty());
    kinds
}

fn table(runs: &[Run], kind: &str, scalars: &[String]) -> Table {
    let mut cells = vec![];
    for run in runs {
        for (epoch, rows) in run.grouped_by_epoch(rows(run, kind), |row| row.at) {
            let mut line = vec![run.label.clone(), epoch.to_string(), rows.len().to_string()];
            line.extend(scalars.iter().map(|scalar| {
                let values: Vec<f64> = rows.iter().filter_map(|row| value(row, scalar).get()).collect();
                short(mean(&values))
            }));
            cells.push(line);
        }
    }
    let means = scalars.iter().map(|scalar| format!("mean {scalar}"));
    Table::new(kind, ["".into(), "epoch".into(), "measurements".into()].into_iter().chain(means), cells)
}

/// The run's rows of one kind.
fn rows<'a>(run: &'a Run, kind: &str) -> impl Iterator<Item = &'a Row> {
    run.records.iter().filter(move |row| row.kind.name() == kind)
}

fn value(row: &Row, scalar: &str) -> Measured {
    let scalars = row.kind.scalars();
    scalars.iter().find(|found| found.name == scalar).map_or(Measured::MISSING, |found| found.value)
}

#[cfg(test)]
mod tests {
    use walk_record::rows::{Distance, Kind, Train};

    use super::*;
    use crate::fixture;

    #[test]
    fn a_probe_shows_up_before_anyone_draws_it_and_training_does_not() {
        let distances = [(1, 1, 2.0), (1, 2, f64::NAN), (1, 3, 4.0), (2, 4, 5.0)];
        let mut rows = distances
            .map(|(epoch, step, distance)| fixture::row(epoch, step, Distance { distance: distance.into() }))
            .to_vec();
        rows.push(fixture::row(2, 4, Train { loss: 1.0.into(), grad_norm: 1.0.into(), lr: 0.1 }));
        rows.push(fixture::row(2, 4, fixture::noise(0.1)));
        let runs = [fixture::run("mlp", rows)];
        let found = tables(&runs, &["noise"]);
        let [table] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (table.name.as_str(), table.header[2..].join(", ")),
            ("distance", "measurements, mean distance".into())
        );
        assert_eq!(table.rows, [["mlp", "1", "3", "3.000"], ["mlp", "2", "1", "5.000"]]);
        let found = figures(&runs, &["noise"]);
        let [figure] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(figure.name(), "distance-distance");
        assert_eq!(figure.chart.series[0].points, [(1.0, 2.0), (3.0, 4.0), (4.0, 5.0)]);
        assert!(tables(&runs, Kind::NAMES).is_empty() && figures(&runs, Kind::NAMES).is_empty());
    }
}
