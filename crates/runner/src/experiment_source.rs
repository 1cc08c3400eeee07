//! The text of an experiment: its file, the files it extends, and the values set on the command line. Locates errors in them.
//! Within a file, the member's section takes precedence over the rest, and in each, the part for the scale over the others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};
use walk_arch::did_you_mean;
use walk_train::TrainError;

use crate::digest::sha256;
use crate::schema_keys::dotted_keys;
use crate::wording::{Wording, reword};

/// Maximum size of an experiment file.
const MAX_BYTES: u64 = 1 << 20;
/// Maximum number of files that extend one another.
const MAX_FILES: usize = 8;
/// The scale that needs no section in the file: the experiment without changes.
pub(crate) const FULL: &str = "full";

/// Which experiment of a file to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection<'a> {
    /// The part `[scale.NAME]`; [`FULL`] if not given.
    pub(crate) scale: Option<&'a str>,
    /// The part `[member.NAME]`.
    pub(crate) member: Option<&'a str>,
}

/// The text of an experiment.
#[derive(Clone, Debug)]
pub(crate) struct ExperimentSource {
    /// The parts of its files, those that take precedence first.
    parts: Vec<FilePart>,
    settings: Vec<Setting>,
}

/// A table of a file that contributes values: the whole, or that of a scale or a member.
#[derive(Clone, Debug)]
struct FilePart {
    path: PathBuf,
    text: Arc<str>,
    /// Where the table is in the file; empty for the whole.
    within: Vec<String>,
    table: Table,
}

/// `key=value` of the command line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    key: Vec<String>,
    value: Value,
    text: String,
    /// The option that it comes from.
    option: &'static str,
}

impl FromStr for Setting {
    type Err = anyhow::Error;

    /// Parses `key=value`; a value that is not valid TOML is a string.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| anyhow!("{why}expected KEY=VALUE, e.g. optim.lr=0.2");
        let (key, value) = text.split_once('=').ok_or_else(|| wrong(""))?;
        let key: Vec<String> = key.trim().split('.').map(str::to_owned).collect();
        if key.iter().any(String::is_empty) {
            return Err(wrong("the key is incomplete, "));
        }
        if value.trim().is_empty() {
            return Err(wrong("the value is missing, "));
        }
        let table = toml::from_str::<Table>(&format!("x = {value}")).ok().filter(|table| table.len() == 1);
        let parsed = table.and_then(|mut table| table.remove("x"));
        let value = parsed.unwrap_or_else(|| Value::String(value.into()));
        Ok(Self { key, value, text: text.to_owned(), option: "--set" })
    }
}

impl Setting {
    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The same as a value of another option.
    pub(crate) fn of_option(self, option: &'static str) -> Self {
        Self { option, ..self }
    }

    /// The dotted key.
    pub(crate) fn key(&self) -> String {
        self.key.join(".")
    }

    /// The value.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    fn place(&self) -> String {
        format!("{} {}", self.option, self.text)
    }

    fn apply(&self, table: &mut Table) -> Result<()> {
        let (last, sections) = self.key.split_last().context("a key has a part")?;
        let mut section = table;
        for part in sections {
            let inner = section.entry(part.as_str()).or_insert_with(|| Value::Table(Table::new()));
            let found = inner.type_str();
            let wrong = || anyhow!("{}: `{part}` is of type {found}", self.place());
            section = inner.as_table_mut().ok_or_else(wrong)?;
        }
        section.insert(last.clone(), self.value.clone());
        Ok(())
    }
}

impl ExperimentSource {
    /// Reads the file and those that it extends.
    pub(crate) fn read(path: &Path, selection: Selection<'_>, settings: &[Setting]) -> Result<Self> {
        let mut parts = vec![];
        add_file(path, selection, 1, &mut parts)?;
        let source = Self { parts, settings: settings.to_vec() };
        source.check_scale(selection.scale)?;
        Ok(source)
    }

    /// The selected members of a file, in its order: the one named, or all of them; `[None]` if the file is a single
    /// experiment.
    pub(crate) fn members(path: &Path, named: Option<&str>) -> Result<Vec<Option<String>>> {
        if let Some(name) = named {
            return Ok(vec![Some(name.to_owned())]);
        }
        let file = FilePart::read(path)?;
        let Some(members) = file.named("member")? else { return Ok(vec![None]) };
        for name in members.keys() {
            check_folder_name(name).map_err(|wrong| anyhow!("{}: {wrong}", file.place("member")))?;
        }
        Ok(members.keys().cloned().map(Some).collect())
    }

    /// Rejects a scale that none of the files defines.
    fn check_scale(&self, scale: Option<&str>) -> Result<()> {
        let Some(scale) = scale.filter(|scale| *scale != FULL) else { return Ok(()) };
        let has = |part: &FilePart| part.within.iter().rev().take(2).eq([scale, "scale"]);
        if self.parts.iter().any(has) {
            return Ok(());
        }
        let scales = self.parts.iter().filter_map(|part| part.table.get("scale")?.as_table());
        let known: BTreeSet<&str> = scales.flat_map(|table| table.keys()).map(String::as_str).collect();
        let path = self.path().display();
        if known.is_empty() {
            return Err(anyhow!("{path}: no scale `{scale}`: it has no [scale.NAME] section"));
        }
        let known: Vec<&str> = std::iter::once(FULL).chain(known).collect();
        let suggestion = did_you_mean(scale, known.iter().copied());
        Err(anyhow!("{path}: no scale `{scale}`{suggestion} (its scales are {})", known.join(", ")))
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.parts[0].path
    }

    /// The experiment as one table.
    fn merged(&self) -> Result<Table> {
        let mut table = Table::new();
        for part in self.parts.iter().rev() {
            merge(&mut table, &part.table);
        }
        for key in ["extends", "scale"] {
            table.remove(key);
        }
        self.settings.iter().try_for_each(|setting| setting.apply(&mut table))?;
        Ok(table)
    }

    /// Deserializes the experiment.
    pub(crate) fn parse<T: DeserializeOwned + JsonSchema>(&self) -> Result<T> {
        let merged = Value::Table(self.merged()?);
        let error = match serde_path_to_error::deserialize::<_, T>(merged) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let path = if path == "." { "" } else { path.as_str() };
        let Wording { key, message } = reword(path, error.inner().message(), &dotted_keys::<T>());
        Err(self.error_at(&key, message))
    }

    /// SHA-256 of the experiment without the values under these dotted keys.
    pub(crate) fn sha256_without(&self, keys: &[String]) -> Result<String> {
        let mut table = self.merged()?;
        for key in keys {
            let mut section = Some(&mut table);
            let (sections, last) = key.rsplit_once('.').unwrap_or(("", key));
            for part in sections.split('.').filter(|part| !part.is_empty()) {
                section = section.and_then(|table| table.get_mut(part)).and_then(Value::as_table_mut);
            }
            section.map(|table| table.remove(last));
        }
        Ok(sha256(toml::to_string(&table).context("cannot write the experiment")?))
    }

    /// `file:line` of a dotted key, or of the innermost enclosing section that is in a file; `--set ...` if it was set there.
    /// For a section, values set within it are named as well.
    pub(crate) fn place(&self, key: &str) -> String {
        let parts: Vec<&str> = key.split('.').collect();
        let is_prefix =
            |key: &[String]| key.len() <= parts.len() && key.iter().zip(&parts).all(|(a, b)| a == b);
        if let Some(setting) = self.settings.iter().rev().find(|setting| is_prefix(&setting.key)) {
            return setting.place();
        }
        // the file that spells out most of the key; among equals `max_by_key` takes the last, here the uppermost file
        let best = self.parts.iter().rev().max_by_key(|part| part.depth(key));
        let place = best.unwrap_or(&self.parts[0]).place(key);
        // an error about a whole section may be caused by a value set within it
        let is_within = |setting: &&Setting| {
            setting.key.len() > parts.len() && parts.iter().zip(&setting.key).all(|(a, b)| a == b)
        };
        match self.settings.iter().rev().find(is_within) {
            Some(setting) => format!("{place}, with {}", setting.place()),
            None => place,
        }
    }

    /// An error about the value of a dotted key.
    pub(crate) fn error_at(&self, key: &str, error: impl std::fmt::Display) -> anyhow::Error {
        anyhow!("{}: {error}", self.place(key))
    }

    /// An error from walk-train, located at the key that it is about.
    pub(crate) fn train_error(&self, error: TrainError) -> anyhow::Error {
        let key = if let TrainError::Value { key, .. } = &error { key.clone() } else { String::new() };
        self.error_at(&key, error)
    }
}

/// Rejects a name that is not a plain folder name.
pub(crate) fn check_folder_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(anyhow!(
            "`name` = \"{name}\", expected letters, digits, `-`, `_` and `.`, since it names a folder"
        ));
    }
    Ok(())
}

/// Adds the parts of a file to `all`, and then those of the files that it extends.
fn add_file(path: &Path, selection: Selection<'_>, depth: usize, all: &mut Vec<FilePart>) -> Result<()> {
    let parts = FilePart::read(path)?.parts(selection)?;
    let extending = parts.iter().find(|part| part.table.contains_key("extends")).cloned();
    all.extend(parts);
    let Some(extending) = extending else { return Ok(()) };
    let at = |message: String| anyhow!("{}: {message}", extending.place("extends"));
    let bases = match &extending.table["extends"] {
        Value::Array(bases) => bases.as_slice(),
        base => std::slice::from_ref(base),
    };
    if depth == MAX_FILES {
        return Err(at(format!("more than {MAX_FILES} files extend one another")));
    }
    for base in bases {
        let Value::String(base) = base else {
            return Err(at(format!("`extends` is of type {}, expected file names", base.type_str())));
        };
        let path = path.parent().unwrap_or(Path::new("")).join(base);
        add_file(&path, Selection { member: None, ..selection }, depth + 1, all)
            .map_err(|error| if depth == 1 { at(format!("`extends`: {error:#}")) } else { error })?;
    }
    Ok(())
}

/// Overrides values of `table` by those of `over`, section by section; a schedule is replaced as a whole.
fn merge(table: &mut Table, over: &Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) if key != "when" => merge(inner, over),
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

impl FilePart {
    fn read(path: &Path) -> Result<Self> {
        let file = path.display();
        let unreadable = || format!("{file}: cannot read the experiment");
        let metadata = std::fs::metadata(path).with_context(unreadable)?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            bail!("{file}: not an experiment: expected a TOML file of at most 1 MiB");
        }
        let text = String::from_utf8(std::fs::read(path).with_context(unreadable)?).map_err(|error| {
            let byte = error.utf8_error().valid_up_to();
            anyhow!("{file}: byte {byte}: not UTF-8 text, expected a TOML file")
        })?;
        let table = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line(&text, span.start));
            anyhow!("{file}:{line}: not valid TOML: {}", error.message())
        })?;
        Ok(Self { path: path.into(), text: text.into(), within: vec![], table })
    }

    /// The relevant tables of a file in order of precedence: the member's section, then the file without its members, each
    /// preceded by its own part for the scale.
    fn parts(mut self, Selection { scale, member }: Selection<'_>) -> Result<Vec<Self>> {
        let path = self.path.display().to_string();
        let members = self.named("member")?.cloned();
        self.table.remove("member");
        let mut parts = vec![];
        match (members, member) {
            (None, None) => {}
            (None, Some(name)) => bail!("{path}: no member `{name}`: the file is a single experiment"),
            (Some(members), None) => {
                let (place, known) = (self.place("member"), names(members.keys()));
                bail!("{place}: the file has several experiments; choose one with --member: {known}");
            }
            (Some(members), Some(name)) => {
                let Some(Value::Table(table)) = members.get(name) else {
                    let suggestion = did_you_mean(name, members.keys().map(String::as_str));
                    bail!(
                        "{path}: no member `{name}`{suggestion} (its members are {})",
                        names(members.keys())
                    );
                };
                parts.push(self.part(["member", name], table));
                // a member's `extends` replaces that of its file
                if table.contains_key("extends") {
                    self.table.remove("extends");
                }
            }
        }
        parts.push(self);
        let mut scaled = vec![];
        for part in parts {
            let scales = part.named("scale")?;
            if let Some(scale) = scale
                && let Some(Value::Table(table)) = scales.and_then(|scales| scales.get(scale))
            {
                if table.contains_key("extends") {
                    let place = part.place(&format!("scale.{scale}.extends"));
                    bail!("{place}: `extends` belongs at the top of a file or in a member, not in a scale");
                }
                scaled.push(part.part(["scale", scale], table));
            }
            scaled.push(part);
        }
        Ok(scaled)
    }

    /// The table at a place within this one, as a part of the same file.
    fn part(&self, place: [&str; 2], table: &Table) -> Self {
        let within = [self.within.as_slice(), &place.map(str::to_owned)].concat();
        Self { within, table: table.clone(), ..self.clone() }
    }

    /// A table of tables, if present.
    fn named(&self, key: &str) -> Result<Option<&Table>> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        match value.as_table().filter(|table| table.values().all(Value::is_table)) {
            Some(table) => Ok(Some(table)),
            None => bail!("{}: `{key}` may only contain tables [{key}.NAME]", self.place(key)),
        }
    }

    /// How many parts of a dotted key the file spells out.
    fn depth(&self, key: &str) -> usize {
        let mut table = Some(&self.table);
        let found = key.split('.').take_while(|part| {
            let value = table.and_then(|table| table.get(*part));
            table = value.and_then(Value::as_table);
            value.is_some()
        });
        found.count()
    }

    fn place(&self, key: &str) -> String {
        let document = DeTable::parse(&self.text).ok();
        let mut table = document.as_ref().map(|table| table.get_ref());
        let mut place = self.path.display().to_string();
        for part in self.within.iter().map(String::as_str).chain(key.split('.')) {
            let entry =
                table.and_then(|table| table.iter().find(|(name, _)| name.get_ref().as_ref() == part));
            let Some((name, value)) = entry else { break };
            table = if let DeValue::Table(inner) = value.get_ref() { Some(inner) } else { None };
            // a section is located at its header, a value at its key
            let span = if table.is_some() { value.span() } else { name.span() };
            place = format!("{}:{}", self.path.display(), line(&self.text, span.start));
        }
        place
    }
}

fn names<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    keys.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn line(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(files: &[(&str, &str)], sets: &[&str]) -> Result<(tempfile::TempDir, ExperimentSource)> {
        select(files, Selection::default(), sets)
    }

    fn select(
        files: &[(&str, &str)],
        selection: Selection<'_>,
        sets: &[&str],
    ) -> Result<(tempfile::TempDir, ExperimentSource)> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let sets: Vec<Setting> = sets.iter().map(|set| set.parse().unwrap()).collect();
        let source = ExperimentSource::read(&dir.path().join(files[0].0), selection, &sets)?;
        Ok((dir, source))
    }

    #[test]
    fn a_file_is_put_on_what_it_extends_and_settings_on_both() {
        let base = "seed = 1\n[optim]\nlr = 0.1\nmomentum = 0.5\n[probe.x]\nwhen = { epochs = [1] }\n";
        let top = "extends = \"base.toml\"\n[optim]\nlr = 0.2\n[probe.x]\nwhen = { every = 2 }\n";
        let (_dir, source) =
            source(&[("top.toml", top), ("base.toml", base)], &["optim.momentum=0.9", "name=a b"]).unwrap();
        let expected =
            "seed = 1\nname = \"a b\"\n[optim]\nlr = 0.2\nmomentum = 0.9\n[probe.x]\nwhen = { every = 2 }\n";
        assert_eq!(source.merged().unwrap(), toml::from_str::<Table>(expected).unwrap());
        let name = |key: &str| {
            let place = source.place(key);
            place.rsplit('/').next().unwrap().to_owned()
        };
        assert_eq!(name("optim.lr"), "top.toml:3");
        assert_eq!(name("seed"), "base.toml:1");
        assert_eq!(name("optim.momentum"), "--set optim.momentum=0.9");
    }

    #[test]
    fn a_part_for_a_scale_or_a_member_counts_before_the_file_it_stands_in() {
        let base = "seed = 1\nepochs = 100\n[data]\ntrain = 9\n[scale.quick]\nepochs = 2\n[scale.quick.data]\ntrain = 3\n";
        let top = "epochs = 50\n[member.a]\nextends = \"base.toml\"\n[member.a.scale.quick]\nseed = 7\n[member.b]\nextends = \"base.toml\"\nepochs = 5\n";
        let files = [("top.toml", top), ("base.toml", base)];
        let merged = |scale, member| {
            let (_dir, source) = select(&files, Selection { scale, member }, &[]).unwrap();
            source.merged().unwrap()
        };
        let table = |text: &str| toml::from_str::<Table>(text).unwrap();
        assert_eq!(merged(None, Some("a")), table("seed = 1\nepochs = 50\n[data]\ntrain = 9\n"));
        assert_eq!(merged(Some("full"), Some("b")), table("seed = 1\nepochs = 5\n[data]\ntrain = 9\n"));
        // the file's own value stands before the base file's for the scale
        assert_eq!(merged(Some("quick"), Some("a")), table("seed = 7\nepochs = 50\n[data]\ntrain = 3\n"));

        let (dir, source) =
            select(&files, Selection { scale: Some("quick"), member: Some("a") }, &[]).unwrap();
        let place = |key: &str| source.place(key).rsplit('/').next().unwrap().to_owned();
        assert_eq!(place("seed"), "top.toml:5");
        assert_eq!(place("data.train"), "base.toml:8");
        let members = |named| ExperimentSource::members(&dir.path().join("top.toml"), named).unwrap();
        assert_eq!(members(None), [Some("a".to_owned()), Some("b".to_owned())]);
        assert_eq!(members(Some("b")), [Some("b".to_owned())]);
        assert_eq!(ExperimentSource::members(&dir.path().join("base.toml"), None).unwrap(), [None]);
        let wrong = |scale, member| select(&files, Selection { scale, member }, &[]).unwrap_err().to_string();
        let text = wrong(Some("quikc"), Some("a"));
        assert!(
            text.contains("no scale `quikc`, did you mean `quick`? (its scales are full, quick)"),
            "{text}"
        );
        assert!(wrong(None, Some("c")).contains("no member `c` (its members are a, b)"));
        assert!(
            wrong(None, None)
                .contains("top.toml:2: the file has several experiments; choose one with --member: a, b")
        );
        let wrong = select(&[("a.toml", "scale = 3\n")], Selection::default(), &[]).unwrap_err().to_string();
        assert!(wrong.contains("a.toml:1: `scale` may only contain tables [scale.NAME]"), "{wrong}");
    }

    #[test]
    fn what_cannot_be_extended_or_set_is_named() {
        let message = |files: &[(&str, &str)], sets: &[&str]| {
            source(files, sets).and_then(|(_dir, source)| source.merged()).unwrap_err().to_string()
        };
        assert!(
            message(&[("a.toml", "extends = \"a.toml\"\n")], &[]).contains("a.toml:1: more than 8 files")
        );
        assert!(
            message(&[("a.toml", "\nextends = 3\n")], &[]).contains("a.toml:2: `extends` is of type integer")
        );
        assert!(
            message(&[("a.toml", "extends = [3]\n")], &[]).contains("a.toml:1: `extends` is of type integer")
        );
        let several = [
            ("a.toml", "extends = [\"b.toml\", \"c.toml\"]\n"),
            ("b.toml", "seed = 1\n"),
            ("c.toml", "seed = 2\nepochs = 3\n"),
        ];
        let (_dir, both) = source(&several, &[]).unwrap();
        assert_eq!(both.merged().unwrap(), toml::from_str::<Table>("seed = 1\nepochs = 3\n").unwrap());
        let missing = message(&[("a.toml", "extends = \"b.toml\"\n")], &[]);
        assert!(
            missing.contains("a.toml:1: `extends`: ")
                && missing.contains("b.toml: cannot read the experiment")
        );
        assert!(
            message(&[("a.toml", "seed = 1\n")], &["seed.x=1"])
                .contains("--set seed.x=1: `seed` is of type integer")
        );
        assert!("seed".parse::<Setting>().unwrap_err().to_string().contains("expected KEY=VALUE"));
        let wrong = "lr=".parse::<Setting>().unwrap_err().to_string();
        assert_eq!(wrong, "the value is missing, expected KEY=VALUE, e.g. optim.lr=0.2");
        assert!(".x=1".parse::<Setting>().is_err() && "x=".parse::<Setting>().is_err());
        assert_eq!("x=[1, 2]".parse::<Setting>().unwrap().value, Value::Array(vec![1.into(), 2.into()]));
    }
}
