//! The tables of the files of an experiment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};
use walk_arch::did_you_mean;

use super::selection::Selection;

/// Maximum size of an experiment file.
const MAX_BYTES: u64 = 1 << 20;
/// Maximum number of files that extend one another.
const MAX_FILES: usize = 8;

/// A table of a file that contributes values: the whole, or that of a scale or a member.
#[derive(Clone, Debug)]
pub(super) struct FilePart {
    pub(super) path: PathBuf,
    text: Arc<str>,
    /// Where the table is in the file; empty for the whole.
    pub(super) within: Vec<String>,
    pub(super) table: Table,
}

/// Adds the parts of a file to `all`, and then those of the files that it extends.
pub(super) fn add_file(
    path: &Path,
    selection: Selection<'_>,
    depth: usize,
    all: &mut Vec<FilePart>,
) -> Result<()> {
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

impl FilePart {
    pub(super) fn read(path: &Path) -> Result<Self> {
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
            anyhow!("{file}:{line}: not valid TOML: {}", plain(error.message()))
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
    pub(super) fn named(&self, key: &str) -> Result<Option<&Table>> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        match value.as_table().filter(|table| table.values().all(Value::is_table)) {
            Some(table) => Ok(Some(table)),
            None => bail!("{}: `{key}` may only contain tables [{key}.NAME]", self.place(key)),
        }
    }

    /// How many parts of a dotted key the file spells out.
    pub(super) fn depth(&self, key: &str) -> usize {
        let mut table = Some(&self.table);
        let found = key.split('.').take_while(|part| {
            let value = table.and_then(|table| table.get(*part));
            table = value.and_then(Value::as_table);
            value.is_some()
        });
        found.count()
    }

    /// `file:line` of a dotted key, or of the innermost enclosing section that the file has.
    pub(super) fn place(&self, key: &str) -> String {
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

/// A message of the TOML parser in plain words.
fn plain(message: &str) -> String {
    let number = message.strip_prefix("invalid type: integer `").and_then(|rest| rest.split_once('`'));
    number.map_or_else(
        || message.to_owned(),
        |(number, _)| format!("{number}, expected a whole number from {} to {}", i64::MIN, i64::MAX),
    )
}

fn names<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    keys.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn line(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1
}
