//! Default tables and figures, made from the scalars of a probe's rows, for probes without specific ones.

use walk_record::{Measured, Row, Run};

use crate::curve::{Curve, StepValue};
use crate::figure::file_name;
use crate::statistics::mean;
use crate::table::{Column, Role, Table, epochs, main, place, short};

/// For each kind of probe rows that is not `listed`, one row per epoch: the number of measurements and the mean of each scalar.
pub(crate) fn tables(run: &Run, listed: &[&str]) -> Vec<Table> {
    unlisted(run, listed).into_iter().map(|(kind, scalars)| table(run, kind, &scalars)).collect()
}

/// For each kind of probe rows that is not `listed` and each of its scalars, the scalar by update, if it has at least two
/// values.
pub(crate) fn curves(run: &Run, listed: &[&str]) -> Vec<Curve> {
    let curve = |kind: &str, scalar: &str| {
        let measured = |row: &Row| Some(StepValue { step: row.at.step, value: value(row, scalar).get()? });
        let values: Vec<StepValue> = rows(run, kind).filter_map(measured).collect();
        let name = file_name(&format!("{kind}-{scalar}"));
        let curve = Curve::new(name, format!("{}: {}", title(kind), words(scalar)), "update", &words(scalar));
        curve.through(&values)
    };
    let kinds = unlisted(run, listed);
    let curves = kinds.iter().flat_map(|(kind, scalars)| scalars.iter().map(|scalar| curve(kind, scalar)));
    // a curve needs more than one value
    curves.filter(|curve| curve.points.len() > 1).collect()
}

/// The kinds of probe rows that are not `listed` and name any scalars, each with these in the order in which they were recorded.
fn unlisted(run: &Run, listed: &[&str]) -> Vec<(&'static str, Vec<String>)> {
    let mut kinds: Vec<(&str, Vec<String>)> = vec![];
    let kind_of_row = run.records.iter().map(|row| &row.kind);
    for kind in kind_of_row.filter(|kind| kind.is_of_probe() && !listed.contains(&kind.name())) {
        if !kinds.iter().any(|(name, _)| *name == kind.name()) {
            kinds.push((kind.name(), vec![]));
        }
        let known = kinds.iter_mut().find(|(name, _)| *name == kind.name());
        let known = &mut known.expect("it was just added").1;
        for scalar in kind.scalars() {
            if !known.contains(&scalar.name) {
                known.push(scalar.name);
            }
        }
    }
    kinds.retain(|(_, scalars)| !scalars.is_empty());
    kinds
}

fn table(run: &Run, kind: &str, scalars: &[String]) -> Table {
    let lines = run.grouped_by_epoch(rows(run, kind), |row| row.at).into_values().map(|rows| {
        let means = scalars.iter().map(|scalar| {
            let values: Vec<f64> = rows.iter().filter_map(|row| value(row, scalar).get()).collect();
            short(mean(&values))
        });
        [epochs(rows[0].at.epoch, rows[rows.len() - 1].at.epoch), rows.len().into()]
            .into_iter()
            .chain(means)
            .collect()
    });
    let columns = [place("epoch", "epoch"), main("measurements", "measurements")];
    let means = scalars
        .iter()
        .map(|scalar| Column::new(file_name(scalar), format!("mean {}", words(scalar)), Role::Result));
    Table::new(kind, title(kind), columns.into_iter().chain(means), lines)
}

/// A snake-case name as words, starting with a capital letter.
fn title(name: &str) -> String {
    let words = words(name);
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A name in snake case as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
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
    use walk_record::rows::{Kind, Train};

    use super::*;
    use crate::fixture;

    #[test]
    fn a_probe_shows_up_before_anyone_draws_it_and_training_does_not() {
        let distances = [(1, 1, 2.0), (1, 2, f64::NAN), (1, 3, 4.0), (2, 4, 5.0)];
        let mut rows = distances
            .map(|(epoch, step, distance)| fixture::row(epoch, step, fixture::distance(distance)))
            .to_vec();
        rows.push(fixture::row(2, 4, Train { loss: 1.0.into(), grad_norm: 1.0.into(), lr: 0.1 }));
        rows.push(fixture::row(2, 4, fixture::noise(0.1)));
        let run = fixture::run("mlp", rows);
        let found = tables(&run, &["noise"]);
        let [table] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((table.name.as_str(), table.columns[2].title.as_ref()), ("distance", "mean distance"));
        assert_eq!(table.texts(), [["1", "3", "3.000"], ["2", "1", "5.000"]]);
        let found = curves(&run, &["noise"]);
        let [curve] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(curve.name, "distance-distance");
        assert_eq!(curve.points, [(1.0, 2.0), (3.0, 4.0), (4.0, 5.0)]);
        assert!(tables(&run, Kind::NAMES).is_empty() && curves(&run, Kind::NAMES).is_empty());
    }
}
