//! Exports records to other programs: one CSV file per kind of row, with the configuration next to each row.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use walk_record::{Run, write_file};

use crate::error::ReportError;
use crate::overview::status;
use crate::training::{snake, value_text};

/// Keys of the experiment included in every row, in addition to those in which the runs differ.
const ALWAYS: &[&str] = &["model.plugin", "data.set", "optim.lr", "optim.batch_size", "seed"];

/// A line of values by column name, in order.
type Line = Vec<(String, String)>;

/// Writes `runs.csv`, with every value of each run's experiment, and one file per recorded kind of row, with one line per row:
/// its run, the keys in which the runs differ and a few others, and its fields. Each number of a list has its own column.
/// Returns the names of the files and the number of lines of each.
///
/// # Errors
/// [`ReportError`] if something cannot be written.
pub fn export(runs: &[Run], folder: &Path) -> Result<Vec<(String, usize)>, ReportError> {
    let mut kinds: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
    let mut described = vec![];
    for run in runs {
        let mut line = vec![("run".to_owned(), run.label.clone())];
        let info = &run.info;
        line.push(("status".into(), status(run)));
        line.push(("parameters".into(), info.network.n_params.to_string()));
        line.push((
            "elapsed_s".into(),
            info.elapsed_s.map(|elapsed| elapsed.to_string()).unwrap_or_default(),
        ));
        line.extend(run.config.iter().map(|entry| (snake(&entry.key), text(run, &entry.key))));
        described.push(line);
        let is_shown = |key: &&str| ALWAYS.contains(key) || run.swept.iter().any(|swept| swept == key);
        let keys = run.config.iter().map(|entry| entry.key.as_str()).filter(is_shown);
        let own: Line = std::iter::once(("run".to_owned(), run.label.clone()))
            .chain(keys.map(|key| (snake(key), text(run, key))))
            .collect();
        for row in &run.records {
            let mut line = own.clone();
            let fields: Value = serde_json::from_str(&row.to_json()?)?;
            for stamp in ["epoch", "iteration", "step"] {
                line.push((stamp.into(), fields[stamp].to_string()));
            }
            for (name, value) in fields.as_object().into_iter().flatten() {
                if !["kind", "epoch", "iteration", "step"].contains(&name.as_str()) {
                    flatten(name, value, &mut line);
                }
            }
            kinds.entry(row.kind.name()).or_default().push(line);
        }
    }
    let files = std::iter::once(("runs", described)).chain(kinds);
    let written = files.map(|(name, lines)| {
        let file = format!("{name}.csv");
        write_file(&folder.join(&file), &csv_of(&lines)?)?;
        Ok((file, lines.len()))
    });
    written.collect()
}

/// A value under its name; the elements of objects and lists get separate names, numbered from 1 in lists.
fn flatten(name: &str, value: &Value, line: &mut Line) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(field, value)| flatten(&format!("{name}_{field}"), value, line));
        }
        Value::Array(values) => {
            values
                .iter()
                .zip(1..)
                .for_each(|(value, number)| flatten(&format!("{name}_{number}"), value, line));
        }
        Value::Null => line.push((name.into(), String::new())),
        Value::String(text) => line.push((name.into(), text.clone())),
        other => line.push((name.into(), other.to_string())),
    }
}

/// Lines under a header of all their columns; cells are empty where a line lacks the column.
fn csv_of(lines: &[Line]) -> Result<Vec<u8>, ReportError> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut header: Vec<&str> = vec![];
    for (name, _) in lines.iter().flatten() {
        places.entry(name).or_insert_with(|| {
            header.push(name);
            header.len() - 1
        });
    }
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(&header)?;
    for line in lines {
        let mut record = vec![""; header.len()];
        line.iter().for_each(|(name, value)| record[places[name.as_str()]] = value);
        writer.write_record(record)?;
    }
    writer.into_inner().map_err(|error| ReportError::Csv(error.into_error().into()))
}

/// The run's value of a key, empty if it has none.
fn text(run: &Run, key: &str) -> String {
    value_text(run, key).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{distance, row, segment, swept};

    #[test]
    fn every_row_stands_beside_what_was_configured() {
        let dir = tempfile::tempdir().unwrap();
        let mut runs = swept(&[
            &[("optim.lr", "0.1"), ("seed", "1"), ("epochs", "2")],
            &[("optim.lr", "0.2"), ("seed", "1"), ("epochs", "2")],
        ]);
        runs[0].records = vec![row(1, 2, distance(0.5)), row(1, 2, segment(true, 0.25))];
        runs[1].records = vec![row(1, 2, distance(f64::NAN))];
        let files = export(&runs, dir.path()).unwrap();
        let names: Vec<(&str, usize)> = files.iter().map(|(name, lines)| (name.as_str(), *lines)).collect();
        assert_eq!(names, [("runs.csv", 2), ("distance.csv", 2), ("interpolation.csv", 1)]);
        let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).unwrap();
        let label = &runs[0].label;
        let other = &runs[1].label;
        assert_eq!(
            read("distance.csv"),
            format!(
                "run,optim_lr,seed,epoch,iteration,step,distance\n\"{label}\",0.1,1,1,2,2,0.5\n\"{other}\",0.2,1,1,2,2,\n"
            )
        );
        assert!(
            read("interpolation.csv").contains(",losses_1,losses_2,losses_3,"),
            "{}",
            read("interpolation.csv")
        );
        assert!(read("runs.csv").starts_with("run,status,parameters,elapsed_s,optim_lr,seed,epochs\n"));
    }
}
