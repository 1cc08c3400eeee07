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
    if runs.len() == 1 {
        return name.to_owned();
    }
    let own = file_name(&run.label);
    // labels that differ in unusual characters alone have the same name
    let alike = runs.iter().filter(|other| file_name(&other.label) == own);
    let earlier = alike.take_while(|other| other.label != run.label).count();
    let number = if earlier == 0 { String::new() } else { format!("-{}", earlier + 1) };
    format!("{}-{own}{number}", file_name(name))
}

/// `text` with every character that is unusual in file names replaced by `_`.
pub(crate) fn file_name(text: &str) -> String {
    let usual = |c: char| if c.is_alphanumeric() || "-_.=".contains(c) { c } else { '_' };
    text.chars().map(usual).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn figures_of_runs_whose_labels_look_alike_have_names_of_their_own() {
        let runs = ["a/run", "a_run", "b"].map(|label| fixture::run(label, []));
        let names = |runs: &[Run]| runs.iter().map(|run| name_with_label("x", run, runs)).collect::<Vec<_>>();
        assert_eq!(names(&runs), ["x-a_run", "x-a_run-2", "x-b"]);
        assert_eq!(names(&runs[..1]), ["x"]);
    }
}
