//! A run read back from its folder: the source of all tables, figures, claims and pages.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

use crate::rows::{Epoch, RowKind};
use crate::{RecordError, Row, RunFolder, RunInfo, Stamp, Stamped, rows_of};

/// The contents of a run folder, with a label.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Its name in tables and figures.
    pub label: String,
    /// Its folder.
    pub path: PathBuf,
    /// Its description, in which a network from an ONNX file and a folder of images are named after that file or folder.
    pub info: RunInfo,
    /// Every value of its experiment; empty if it cannot be read.
    pub config: Vec<ConfigValue>,
    /// The keys in which it differs from the runs shown with it.
    pub swept: Vec<String>,
    /// Its rows, in order.
    pub records: Vec<Row>,
}

/// A value of an experiment under its dotted key.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigValue {
    /// The key, such as `optim.lr`.
    pub key: String,
    /// Its value.
    pub value: Value,
}

impl Run {
    /// Reads a run folder; the label is the network's name.
    ///
    /// # Errors
    /// [`RecordError`] if the folder is not a run, was written in another format, or cannot be read.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let folder = RunFolder::open(path)?;
        let info = folder.read_info()?;
        let records = folder.read_rows(&info)?;
        let mut config = vec![];
        // an experiment that was damaged later does not change what was measured
        flatten("", &folder.read_config_table().unwrap_or_default(), &mut config);
        let mut run = Self { path: path.into(), info, config, records, ..Self::default() };
        run.name_sources();
        run.label.clone_from(&run.info.plugin.name);
        Ok(run)
    }

    /// Names a network from an ONNX file and a folder of images after that file or folder.
    fn name_sources(&mut self) {
        let path = |key: &str| self.value(key)?.as_str().map(PathBuf::from);
        let file = path("model.options.file").filter(|_| self.info.plugin.name == "onnx");
        let dir = path("data.dir").filter(|_| self.info.data.set == "folder");
        let plugin = sourced(&self.info.plugin.name, file.as_deref().and_then(Path::file_stem));
        let set = sourced(&self.info.data.set, dir.as_deref().and_then(Path::file_name));
        (self.info.plugin.name, self.info.data.set) = (plugin, set);
    }

    /// Labels several runs by the ends of their paths, as long as necessary to distinguish them, and records the keys in which
    /// they differ.
    pub fn tell_apart(runs: &mut [Self]) {
        // compare each key only once, however many runs have it
        let mut seen = BTreeSet::new();
        let keys = runs.iter().flat_map(|run| &run.config).map(|entry| entry.key.as_str());
        let keys = keys.filter(|key| seen.insert(*key));
        let known: Vec<&Self> = runs.iter().filter(|run| !run.config.is_empty()).collect();
        let differs = |key: &&str| known.windows(2).any(|pair| pair[0].value(key) != pair[1].value(key));
        let swept: Vec<String> = keys.filter(differs).map(str::to_owned).collect();
        let paths: Vec<PathBuf> = runs.iter().map(|run| run.path.clone()).collect();
        for (run, label) in runs.iter_mut().zip(labels(&paths)) {
            run.label = label;
            run.swept.clone_from(&swept);
        }
    }

    /// The rows of one kind, in order.
    pub fn rows<T: RowKind>(&self) -> impl DoubleEndedIterator<Item = Stamped<'_, T>> + Clone {
        rows_of(&self.records)
    }

    /// The number of values missing because they were not finite, for each kind of row that has any.
    pub fn not_finite(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for row in &self.records {
            let n = row.kind.not_finite();
            if n > 0 {
                *counts.entry(row.kind.name()).or_default() += n;
            }
        }
        counts
    }

    /// The experiment's value under a dotted key.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.config.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Whether each epoch is one update, as in gradient descent; grouping by epoch is then pointless.
    pub fn is_one_update_per_epoch(&self) -> bool {
        let mut epochs = self.rows::<Epoch>().map(|row| row.at.iteration);
        epochs.next() == Some(1) && epochs.all(|updates| updates == 1)
    }

    /// The rows of one kind by epoch; if each epoch is one update, all are under the first.
    pub fn by_epoch<T: RowKind>(&self) -> BTreeMap<u32, Vec<Stamped<'_, T>>> {
        self.grouped_by_epoch(self.rows(), |row| row.at)
    }

    /// Rows of the run grouped as by [`Run::by_epoch`], according to where `stamp` says they were recorded.
    pub fn grouped_by_epoch<R>(
        &self,
        rows: impl Iterator<Item = R>,
        stamp: impl Fn(&R) -> Stamp,
    ) -> BTreeMap<u32, Vec<R>> {
        let together = self.is_one_update_per_epoch();
        let mut epochs: BTreeMap<u32, Vec<R>> = BTreeMap::new();
        for row in rows {
            epochs.entry(if together { 1 } else { stamp(&row).epoch }).or_default().push(row);
        }
        epochs
    }
}

/// What a plugin or data set called `kind` is called after the name of the file or folder that it reads, if any.
pub fn sourced(kind: &str, name: Option<&OsStr>) -> String {
    name.map_or_else(|| kind.to_owned(), |name| format!("{} ({kind})", name.display()))
}

/// The shortest unique end of each path; repeated paths are numbered.
fn labels(paths: &[PathBuf]) -> Vec<String> {
    let parts = |path: &PathBuf| -> Vec<String> {
        let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
        let names = whole.components().filter(|part| matches!(part, Component::Normal(_)));
        names.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
    };
    let all: Vec<Vec<String>> = paths.iter().map(parts).collect();
    let label = |(index, own): (usize, &Vec<String>)| {
        let is_shared = |end: &[String]| all.iter().any(|other| other != own && other.ends_with(end));
        let ends = (0..own.len()).rev().map(|from| &own[from..]);
        let end = ends.clone().find(|end| !is_shared(end)).unwrap_or(own).join("/");
        match all[..index].iter().filter(|other| *other == own).count() {
            0 => end,
            earlier => format!("{end} ({})", earlier + 1),
        }
    };
    all.iter().enumerate().map(label).collect()
}

/// Every value of a table under its dotted key.
fn flatten(prefix: &str, table: &Table, found: &mut Vec<ConfigValue>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, found),
            value => found.push(ConfigValue { key, value: value.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Distance, Kind, Train};

    #[test]
    fn rows_of_one_kind_keep_their_place_and_order() {
        let (folder, dir) = (tempfile::tempdir().unwrap(), "optim = { lr = 0.1 }\nseed = 3\n");
        let path = folder.path().join("run");
        let info = RunInfo { format: crate::FORMAT, ..RunInfo::default() };
        let (made, _lock) = RunFolder::create(&path, dir, &info).unwrap();
        let mut writer = made.metrics(&crate::MetricsMark::default()).unwrap();
        let mut write = |step: u64, kind: Kind| {
            writer.write(&Row { at: Stamp { epoch: 1, iteration: step as u32, step }, kind }).unwrap();
        };
        for step in 1..=3 {
            write(step, Train { loss: 0.5.into(), grad_norm: 1.0.into(), lr: 0.1 }.into());
            write(step, Distance { distance: (step as f64).into(), other: None }.into());
        }
        let run = Run::read(&path).unwrap();
        let found: Vec<(u64, f64)> =
            run.rows::<Distance>().map(|row| (row.at.step, row.distance.or_nan())).collect();
        assert_eq!(found, [(1, 1.0), (2, 2.0), (3, 3.0)]);
        assert_eq!(run.rows::<Train>().count(), 3);
        assert_eq!(run.value("optim.lr"), Some(&Value::Float(0.1)));
        let mut runs = [run.clone(), run];
        runs[1].path = "b".into();
        runs[1].config[1].value = 4.into();
        Run::tell_apart(&mut runs);
        assert_eq!((runs[0].label.as_str(), runs[1].label.as_str()), ("run", "b"));
        assert_eq!(runs[0].swept, ["seed"]);
    }

    #[test]
    fn labels_are_as_long_as_it_takes() {
        let label = |paths: &[&str]| labels(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(label(&["a/x", "b/y"]), ["x", "y"]);
        assert_eq!(label(&["a/run", "b/run", "c/other"]), ["a/run", "b/run", "other"]);
        assert_eq!(label(&["p/a/run", "q/a/run", "b/run"]), ["p/a/run", "q/a/run", "b/run"]);
        assert_eq!(label(&["run", "a/run"]), ["run", "a/run"]);
        assert_eq!(label(&["x", "x", "y"]), ["x", "x (2)", "y"]);
    }

    #[test]
    fn a_network_from_a_file_and_a_folder_of_images_are_named_after_them() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str, plugin: &str, config: &str| {
            let mut info = RunInfo { format: crate::FORMAT, ..RunInfo::default() };
            (info.plugin.name, info.data.set) = (plugin.into(), "folder".into());
            RunFolder::create(&dir.path().join(name), config, &info).unwrap();
            Run::read(&dir.path().join(name)).unwrap()
        };
        let config = "[model.options]\nfile = \"nets/vit.b.onnx\"\n[data]\ndir = \"my/pets/\"\n";
        let run = read("a", "onnx", config);
        assert_eq!((run.label.as_str(), run.info.data.set.as_str()), ("vit.b (onnx)", "pets (folder)"));
        let run = read("b", "mlp", &config.replace("my/pets/", "."));
        assert_eq!((run.label.as_str(), run.info.data.set.as_str()), ("mlp", "folder"));
    }

    #[test]
    fn a_damaged_experiment_leaves_the_measurements_readable() {
        let dir = tempfile::tempdir().unwrap();
        let info = RunInfo { format: crate::FORMAT, ..RunInfo::default() };
        let made = ["a", "b", "c"].map(|name| {
            let path = dir.path().join(name);
            RunFolder::create(&path, &format!("name = \"{name}\"\nseed = 1\n"), &info).unwrap();
            path
        });
        std::fs::write(made[1].join("config.toml"), "seed = \n").unwrap();
        let message = RunFolder::open(&made[1]).unwrap().read_config_table().unwrap_err().to_string();
        assert!(message.contains("b/config.toml: not valid TOML: "), "{message}");
        let mut runs = made.map(|path| Run::read(&path).unwrap());
        assert!(runs[1].config.is_empty());
        Run::tell_apart(&mut runs);
        assert_eq!(runs[1].swept, ["name"]);
    }

    #[test]
    fn a_folder_of_another_format_is_refused_with_the_version_that_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let info = RunInfo { format: 2, version: "0.1.0".into(), ..RunInfo::default() };
        RunFolder::create(&path, "", &info).unwrap();
        // the other contents of run.json may be unknown to this version
        std::fs::write(path.join("run.json"), r#"{ "format": 2, "version": "0.1.0", "old": [] }"#).unwrap();
        let message = Run::read(&path).unwrap_err().to_string();
        let expected = format!(
            "run.json: written in format 2 by sgdwalk 0.1.0; use that version to read it, since this program reads format {}",
            crate::FORMAT
        );
        assert!(message.ends_with(&expected), "{message}");
    }
}
