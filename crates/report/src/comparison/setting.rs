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
    /// What tells the settings apart: the names of columns, for programs and for readers.
    pub(crate) keys: Vec<SettingKey>,
    /// One or more.
    pub(crate) settings: Vec<Setting<'a>>,
}

/// A key whose values tell settings apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SettingKey {
    /// As the name of a column for programs.
    pub(crate) snake: String,
    /// As readers see it.
    pub(crate) title: String,
}

/// Runs that have the same values of the keys.
#[derive(Clone, Debug)]
pub(crate) struct Setting<'a> {
    /// The values of the keys, as text.
    pub(crate) values: Vec<String>,
    /// What legends call it.
    pub(crate) label: String,
    /// One or more, in order.
    pub(crate) runs: Vec<&'a Run>,
}

impl SettingKey {
    /// The key and one of its values, as in `lr = 0.1`.
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

    /// What `make` makes of each run, by setting.
    pub(crate) fn by_setting<T>(&self, make: impl Fn(&Run) -> T) -> Vec<Vec<T>> {
        self.settings.iter().map(|setting| setting.runs.iter().map(|run| make(run)).collect()).collect()
    }

    /// Figures whose notes say what the runs have in common.
    pub(crate) fn with_subject(&self, mut figures: Vec<Figure>) -> Vec<Figure> {
        let subject = self.subject();
        figures.iter_mut().for_each(|figure| figure.chart.prepend_note(&subject));
        figures
    }

    /// What the runs have in common: network, data, method, and learning rate, as far as they are the same.
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
