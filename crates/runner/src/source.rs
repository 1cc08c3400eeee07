//! The experiment's text, and the place in it that an error is about.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use walk_arch::nearest;
use walk_train::TrainError;

/// Largest experiment file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A TOML file.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path)
            .with_context(|| format!("{}: the experiment cannot be read", path.display()))?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(anyhow!(
                "{}: not an experiment: expected a TOML file of at most 1 MiB",
                path.display()
            ));
        }
        let bytes = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let byte = error.utf8_error().valid_up_to();
            anyhow!("{}: byte {byte}: not UTF-8 text, expected a TOML file", path.display())
        })?;
        Ok(Self { path: path.into(), text })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file as `T`.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let deserializer =
            toml::Deserializer::parse(&self.text).map_err(|error| self.syntax_error(&error))?;
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            self.value_error(&path, error.inner())
        })
    }

    /// `file:line` of a dotted key, or of the nearest section around it that is written out.
    pub(crate) fn place(&self, key: &str) -> String {
        let span = DeTable::parse(&self.text).ok().and_then(|table| {
            let mut found = None;
            let mut table = table.get_ref().clone();
            for part in key.split('.') {
                let (_, value) = table.iter().find(|(name, _)| name.get_ref().as_ref() == part)?;
                found = Some(value.span());
                let value = value.get_ref().clone();
                let DeValue::Table(inner) = value else { break };
                table = inner;
            }
            found
        });
        match span {
            Some(span) => format!("{}:{}", self.path.display(), self.line(span.start)),
            None => self.path.display().to_string(),
        }
    }

    /// An error about the value of a dotted key.
    pub(crate) fn error_at(&self, key: &str, error: impl std::fmt::Display) -> anyhow::Error {
        anyhow!("{}: {error}", self.place(key))
    }

    /// An error of walk-train at the place of the key that it is about.
    pub(crate) fn train_error(&self, error: TrainError) -> anyhow::Error {
        let key = if let TrainError::Value { key, .. } = &error { key.clone() } else { String::new() };
        self.error_at(&key, error)
    }

    fn line(&self, byte: usize) -> usize {
        self.text.as_bytes()[..byte.min(self.text.len())].iter().filter(|&&b| b == b'\n').count() + 1
    }

    fn syntax_error(&self, error: &toml::de::Error) -> anyhow::Error {
        let line = error.span().map_or(1, |span| self.line(span.start));
        anyhow!("{}:{line}: not valid TOML: {}", self.path.display(), error.message())
    }

    fn value_error(&self, path: &str, error: &toml::de::Error) -> anyhow::Error {
        let line = error.span().map_or(1, |span| self.line(span.start));
        let message = error.message();
        // serde's messages quote what was found first, then what is known
        let mut quoted = message.split('`').skip(1).step_by(2);
        let found = quoted.next().unwrap_or_default();
        let suggestion = nearest(found, quoted).map(|known| format!(", did you mean `{known}`?"));
        let section = if path == "." { String::new() } else { format!("`{path}`: ") };
        let suggestion = suggestion.unwrap_or_default();
        anyhow!("{}:{line}: {section}{message}{suggestion}", self.path.display())
    }
}
