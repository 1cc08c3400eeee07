//! Runs joined into settings.

use walk_record::Run;

use crate::figure::Figure;
use crate::table::Cell;
use crate::training::setting;

/// Runs shown together, joined into settings.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    /// All of them.
    pub(crate) runs: Vec<&'a Run>,
    /// The keys that distinguish the settings: column names for programs and for readers.
    pub(crate) keys: Vec<SettingKey>,
    /// One or more.
    pub(crate) settings: Vec<Setting<'a>>,
}

/// A key whose values distinguish settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SettingKey {
    /// The machine-readable column name.
    pub(crate) snake: String,
    /// The name shown to readers.
    pub(crate) title: String,
}

/// The runs of one setting, which usually differ only in their seeds: the units of claims about training in general.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// The values of the comparison's keys, as text.
    pub(crate) values: Vec<String>,
    /// What distinguishes it from the other settings, in legends and claims.
    pub(crate) label: String,
    /// One or more runs, in order.
    pub(crate) runs: Vec<&'a Run>,
}

impl<'a> Setting<'a> {
    /// From one or more runs.
    pub fn new(label: impl Into<String>, runs: &'a [Run]) -> Self {
        Self { values: vec![], label: label.into(), runs: runs.iter().collect() }
    }
}

impl SettingKey {
    /// The key and one of its values, such as `lr = 0.1`.
    pub(super) fn with(&self, value: &str) -> String {
        format!("{} = {value}", self.title)
    }
}

impl Setting<'_> {
    /// The values of the keys as cells of a table.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell> {
        self.values.iter().map(|value| value.as_str().into())
    }
}

impl Comparison<'_> {
    /// Whether a setting has several runs.
    pub(crate) fn is_joined(&self) -> bool {
        self.settings.iter().any(|setting| setting.runs.len() > 1)
    }

    /// The result of `make` for each run, by setting.
    pub(crate) fn by_setting<T>(&self, make: impl Fn(&Run) -> T) -> Vec<Vec<T>> {
        self.settings.iter().map(|setting| setting.runs.iter().map(|run| make(run)).collect()).collect()
    }

    /// Adds what the runs have in common to the notes of figures.
    pub(crate) fn with_subject(&self, mut figures: Vec<Figure>) -> Vec<Figure> {
        let subject = self.subject();
        figures.iter_mut().for_each(|figure| figure.chart.prepend_note(&subject));
        figures
    }

    /// What the runs have in common, among network, data, method and learning rate.
    fn subject(&self) -> String {
        let mut settings = self.runs.iter().map(|run| setting(run));
        let first = settings.next().unwrap_or_default();
        let mut common: Vec<String> = first;
        for other in settings {
            common.retain(|part| other.contains(part));
        }
        common.join(", ")
    }
}
