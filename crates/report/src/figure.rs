//! A figure: a chart and its numbers.

use walk_record::{Measured, Run};

use crate::chart::Chart;
use crate::draw::{Picture, draw};
use crate::error::ReportError;
use crate::table::Table;

/// A figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What it shows.
    pub(crate) chart: Chart,
    /// Its numbers, under the figure's name.
    pub(crate) data: Table,
}

/// A figure and its picture.
#[derive(Clone, Debug)]
pub(crate) struct DrawnFigure {
    pub(crate) figure: Figure,
    pub(crate) picture: Picture,
}

impl Figure {
    /// A figure named `name`; `header` names the columns of its numbers, separated by commas.
    pub(crate) fn new(
        name: impl Into<String>,
        chart: Chart,
        header: &str,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        Self { chart, data: Table::new(name, header.split(','), rows) }
    }

    /// The name of its files, without their extensions.
    pub(crate) fn name(&self) -> &str {
        &self.data.name
    }

    /// Draws it: equal records give equal bytes.
    pub(crate) fn draw(self) -> Result<DrawnFigure, ReportError> {
        match draw(&self.chart) {
            Ok(picture) => Ok(DrawnFigure { figure: self, picture }),
            Err(message) => Err(ReportError::Figure { name: self.data.name, message }),
        }
    }
}

/// A number of a figure, empty where it is missing.
pub(crate) fn number(value: Measured) -> String {
    value.get().map(|value| value.to_string()).unwrap_or_default()
}

/// The name of a figure that each run has for itself: with the run's label, unless there is one run only.
pub(crate) fn name_with_label(name: &str, run: &Run, runs: &[Run]) -> String {
    if runs.len() == 1 { name.to_owned() } else { file_name(&format!("{name}-{}", run.label)) }
}

/// `text` with every character that is unusual in file names replaced by `_`.
pub(crate) fn file_name(text: &str) -> String {
    let usual = |c: char| if c.is_alphanumeric() || "-_.=".contains(c) { c } else { '_' };
    text.chars().map(usual).collect()
}
