//! What a reproduction runs: the experiments of each table and figure, with those that train alike joined into one run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};
use toml::{Table, Value};
use walk_arch::did_you_mean;

use crate::experiment::Experiment;
use crate::experiment_source::{ExperimentSource, Selection, Setting};

/// A table or figure of the paper.
#[derive(Debug)]
pub(super) struct PlannedExhibit {
    /// Its file's name: `table1`, `fig07a`.
    pub(super) name: String,
    pub(super) parts: Vec<Part>,
}

/// One experiment of an exhibit.
#[derive(Debug)]
pub(super) struct Part {
    /// Its member's name, or the architecture's.
    pub(super) label: String,
    pub(super) experiment: Experiment,
    /// The run that has its rows.
    pub(super) run: usize,
}

/// A run that one or several experiments share.
#[derive(Debug)]
pub(super) struct PlannedRun {
    /// The architecture, the data, and a digest of the rest.
    pub(super) name: String,
    /// The resolved experiment, as its run folder keeps it.
    pub(super) config: String,
}

/// A run that is there.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) name: String,
    /// The experiment as it is written there: an earlier version may not have known every key.
    pub(super) config: String,
    pub(super) table: Table,
}

/// Exhibits and their runs.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) exhibits: Vec<PlannedExhibit>,
    pub(super) runs: Vec<PlannedRun>,
}

impl Plan {
    /// Reads the exhibits in `dir` that are asked for, all if none is named. `finished` are the runs that are
    /// there.
    pub(super) fn read(
        dir: &Path,
        only: &[String],
        scale: &str,
        sets: &[Setting],
        finished: &[Finished],
    ) -> Result<Self> {
        let (mut exhibits, mut tables) = (vec![], vec![]);
        for path in chosen(dir, only)? {
            let name = stem(&path);
            let mut parts = vec![];
            for member in ExperimentSource::members(&path, None)? {
                let selection = Selection { scale: Some(scale), member: member.as_deref() };
                let experiment = Experiment::parse(&ExperimentSource::read(&path, selection, sets)?)?;
                let label = member.unwrap_or_else(|| experiment.model.plugin.clone());
                let run = run_for(&mut tables, Table::try_from(&experiment)?);
                parts.push(Part { label, experiment, run });
            }
            exhibits.push(PlannedExhibit { name, parts });
        }
        let runs = tables.into_iter().map(|table| {
            match finished.iter().find(|there| covers(&there.table, &table)) {
                Some(there) => Ok(PlannedRun { name: there.name.clone(), config: there.config.clone() }),
                None => PlannedRun::new(table),
            }
        });
        Ok(Self { exhibits, runs: runs.collect::<Result<_>>()? })
    }
}

/// The number of the run that has what `experiment` measures: one that trains alike, made to measure this too, or another.
fn run_for(runs: &mut Vec<Table>, experiment: Table) -> usize {
    for (index, run) in runs.iter_mut().enumerate() {
        if let Some(both) = joined(run, &experiment) {
            *run = both;
            return index;
        }
    }
    runs.push(experiment);
    runs.len() - 1
}

impl PlannedRun {
    /// Names the experiment and its run.
    fn new(table: Table) -> Result<Self> {
        let mut experiment: Experiment = table.try_into().context("a joined experiment")?;
        experiment.name = None;
        let digest = format!("{:x}", Sha256::digest(toml::to_string(&experiment)?));
        let plugin = Path::new(&experiment.model.plugin).file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{plugin}-{}-{}", experiment.data.set.name(), &digest[..8]);
        experiment.name = Some(name.clone());
        Ok(Self { name, config: toml::to_string(&experiment)? })
    }
}

/// The exhibits' files that are asked for, in their order.
fn chosen(dir: &Path, only: &[String]) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("{}: cannot be read", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let is_toml = path.extension().is_some_and(|ending| ending == "toml");
        is_toml && ["table", "fig"].iter().any(|kind| stem(path).starts_with(kind))
    });
    // the table first
    paths.sort_by_key(|path| (!stem(path).starts_with("table"), stem(path)));
    if paths.is_empty() {
        return Err(anyhow!("{}: no table*.toml or fig*.toml there", dir.display()));
    }
    let wanted = |path: &Path, name: &str| {
        let stem = stem(path);
        // fig07 is fig07a and fig07b
        stem == name
            || stem
                .strip_prefix(name)
                .is_some_and(|rest| rest.len() == 1 && !rest.as_bytes()[0].is_ascii_digit())
    };
    if let Some(name) = only.iter().find(|name| !paths.iter().any(|path| wanted(path, name))) {
        let stems: Vec<String> = paths.iter().map(|path| stem(path)).collect();
        let suggestion = did_you_mean(name, stems.iter().map(String::as_str));
        return Err(anyhow!("--only {name}: {} has no {name}.toml{suggestion}", dir.display()));
    }
    paths.retain(|path| only.is_empty() || only.iter().any(|name| wanted(path, name)));
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// An experiment but for what is measured and how long it goes on: what makes θ_t the same for every t.
fn training(experiment: &Table) -> Table {
    let mut training = experiment.clone();
    for key in ["name", "epochs", "probe", "checkpoint", "record"] {
        training.remove(key);
    }
    training
}

fn epochs(experiment: &Table) -> i64 {
    experiment.get("epochs").and_then(Value::as_integer).unwrap_or(0)
}

fn probes(experiment: &Table) -> Table {
    experiment.get("probe").and_then(Value::as_table).cloned().unwrap_or_default()
}

/// A probe's section without its schedule, and the schedule's tables of conditions.
fn schedule(section: &Value) -> (Table, Vec<Value>) {
    let mut section = section.as_table().cloned().unwrap_or_default();
    let when = match section.remove("when") {
        Some(Value::Array(several)) => several,
        one => one.into_iter().collect(),
    };
    (section, when)
}

/// An experiment's probes in a run that goes on to epoch `last`: conditions that name no epochs are those of its own.
fn within(experiment: &Table, last: i64) -> Table {
    let (mut probes, own) = (probes(experiment), epochs(experiment));
    if own < last {
        for (_, section) in &mut probes {
            let (mut values, mut when) = schedule(section);
            for conditions in when.iter_mut().filter_map(Value::as_table_mut) {
                let all = || Value::Array((1..=own).map(Value::Integer).collect());
                conditions.entry("epochs").or_insert_with(all);
            }
            values.insert("when".into(), as_written(when));
            *section = Value::Table(values);
        }
    }
    probes
}

/// Tables of conditions as a file has them.
fn as_written(mut when: Vec<Value>) -> Value {
    if when.len() == 1 { when.remove(0) } else { Value::Array(when) }
}

/// One experiment that measures what both do; `None` if they train or measure differently.
fn joined(a: &Table, b: &Table) -> Option<Table> {
    if training(a) != training(b) {
        return None;
    }
    let last = epochs(a).max(epochs(b));
    let mut both = within(a, last);
    for (name, section) in within(b, last) {
        let Some(known) = both.get_mut(&name) else {
            both.insert(name, section);
            continue;
        };
        let ((mut values, mut when), (other, others)) = (schedule(known), schedule(&section));
        if values != other {
            return None;
        }
        when.extend(others.into_iter().filter(|conditions| !when.contains(conditions)).collect::<Vec<_>>());
        values.insert("when".into(), as_written(when));
        *known = Value::Table(values);
    }
    let mut joined = a.clone();
    joined.insert("epochs".into(), Value::Integer(last));
    joined.insert("probe".into(), Value::Table(both));
    Some(joined)
}

/// Whether a run of `there` has every row of one of `wanted`.
fn covers(there: &Table, wanted: &Table) -> bool {
    let measures = |name: &str, section: &Value| {
        let Some((values, when)) = probes(there).get(name).map(schedule) else { return false };
        let (wanted, conditions) = schedule(section);
        values == wanted && conditions.iter().all(|conditions| when.contains(conditions))
    };
    training(there) == training(wanted)
        && epochs(there) >= epochs(wanted)
        && probes(wanted).iter().all(|(name, section)| measures(name, section))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn experiments_that_train_alike_are_joined() {
        let a = experiment("name = \"a\"\nepochs = 2\nseed = 1\n[probe.x]\nn = 1\nwhen = { epochs = [2] }\n");
        let b = experiment(
            "epochs = 5\nseed = 1\n[probe.x]\nn = 1\nwhen = { epochs = [5] }\n[probe.y]\nwhen = {}\n",
        );
        let both = joined(&a, &b).unwrap();
        let expected = "name = \"a\"\nepochs = 5\nseed = 1\n[probe.x]\nn = 1\nwhen = [{ epochs = [2] }, { epochs = [5] }]\n\
                        [probe.y]\nwhen = {}\n";
        assert_eq!(both, experiment(expected));
        assert_eq!(joined(&both, &b), Some(both.clone()));
        assert!(covers(&both, &a) && covers(&both, &b) && !covers(&a, &b) && !covers(&b, &a));
        // what names no epochs is of its own experiment's
        let short = experiment("epochs = 2\nseed = 1\n[probe.y]\nwhen = {}\n");
        let long = experiment("epochs = 3\nseed = 1\n");
        let expected = experiment("epochs = 3\nseed = 1\n[probe.y]\nwhen = { epochs = [1, 2] }\n");
        assert_eq!(joined(&short, &long).unwrap(), expected);
        for other in ["epochs = 2\nseed = 2\n", "epochs = 2\nseed = 1\n[probe.x]\nn = 2\nwhen = {}\n"] {
            assert_eq!(joined(&a, &experiment(other)), None);
            assert!(!covers(&a, &experiment(other)));
        }
    }

    #[test]
    fn exhibits_are_named_by_their_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["fig10.toml", "fig07b.toml", "fig07a.toml", "table1.toml", "quick.toml", "fig01.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
            chosen(dir.path(), &only).map(|paths| paths.iter().map(|path| stem(path)).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["table1", "fig07a", "fig07b", "fig10"]);
        assert_eq!(names(&["fig07", "fig10"]).unwrap(), ["fig07a", "fig07b", "fig10"]);
        let wrong = names(&["fig1"]).unwrap_err().to_string();
        assert!(wrong.contains("--only fig1: ") && wrong.contains("did you mean `fig10`?"), "{wrong}");
    }
}
