//! The text of an experiment: its file, the files it extends, and the values set on the command line. Locates errors in them.
//! Within a file, the member's section takes precedence over the rest, and in each, the part for the scale over the others.

mod file_part;
mod selection;
mod setting;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use walk_arch::did_you_mean;
use walk_train::TrainError;

pub(crate) use self::selection::{FULL, Selection};
pub(crate) use self::setting::Setting;

use self::file_part::{FilePart, add_file};
use crate::digest::sha256;
use crate::schema_keys::dotted_keys;
use crate::wording::{Wording, reword};

/// The text of an experiment.
#[derive(Clone, Debug)]
pub(crate) struct ExperimentSource {
    /// The parts of its files, those that take precedence first.
    parts: Vec<FilePart>,
    settings: Vec<Setting>,
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

/// The keys whose values are schedules.
const SCHEDULE_KEYS: [&str; 2] = ["when", "trajectory"];

/// Overrides values of `table` by those of `over`, section by section; a schedule is replaced as a whole.
fn merge(table: &mut Table, over: &Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) if !SCHEDULE_KEYS.contains(&key.as_str()) => {
                merge(inner, over);
            }
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
