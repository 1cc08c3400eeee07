//! A figure: a chart and its numbers.

use crate::chart::Chart;
use crate::draw::{FigureWidth, Picture, draw};
use crate::error::ReportError;
use crate::table::{Cell, Column, Role, Table};

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
    /// A figure and its numbers, under the figure's name.
    pub(crate) fn new(
        name: impl Into<String>,
        chart: Chart,
        columns: impl IntoIterator<Item = Column>,
        rows: impl IntoIterator<Item = Vec<Cell>>,
    ) -> Self {
        Self { data: Table::new(name, &chart.title, columns, rows), chart }
    }

    /// The name of its files, without their extensions.
    pub(crate) fn name(&self) -> &str {
        &self.data.name
    }

    /// Draws it: equal records give equal bytes.
    pub(crate) fn draw(self, width: FigureWidth) -> Result<DrawnFigure, ReportError> {
        match draw(&self.chart, width) {
            Ok(picture) => Ok(DrawnFigure { figure: self, picture }),
            Err(message) => Err(ReportError::Figure { name: self.data.name, message }),
        }
    }
}

/// The columns of a figure's numbers, by name.
pub(crate) fn columns<const N: usize>(names: [&'static str; N]) -> [Column; N] {
    names.map(|name| Column::new(name, name, Role::Main))
}

/// `text` with every character unusual in file names replaced by `_`.
pub(crate) fn file_name(text: &str) -> String {
    let usual = |c: char| if c.is_alphanumeric() || "-_.=".contains(c) { c } else { '_' };
    text.chars().map(usual).collect()
}
