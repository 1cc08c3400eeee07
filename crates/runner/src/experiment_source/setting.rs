//! Values set on the command line.

use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use toml::{Table, Value};

/// `key=value` of the command line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(super) key: Vec<String>,
    pub(super) value: Value,
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

    /// The option that it comes from.
    pub(crate) fn option(&self) -> &'static str {
        self.option
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

    /// Where it was set, for an error about it.
    pub(super) fn place(&self) -> String {
        format!("{} {}", self.option, self.text)
    }

    /// Sets the value in a table.
    pub(super) fn apply(&self, table: &mut Table) -> Result<()> {
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
