//! Figures made from records alone, each with its numbers.

mod alignment;
mod barriers;
pub(crate) mod chart;
mod draw;
mod interpolation;
mod landing;
mod plane;
mod spectrum;
mod walk;

use walk_record::Row;

use self::chart::Chart;
use crate::ReportError;

/// A run to be drawn, under a label.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What it is called in legends.
    pub label: &'a str,
    /// What it recorded.
    pub rows: &'a [Row],
}

/// A figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The name of its files, without their endings.
    pub name: String,
    pub(crate) chart: Chart,
    /// Its numbers: names of columns, then a row of cells each.
    data: Vec<Vec<String>>,
}

/// A figure's files.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// The picture, to be scaled at will.
    pub svg: String,
    /// The same in pixels, for a print of 300 dots per inch at a paper's column width.
    pub png: Vec<u8>,
    /// Its numbers.
    pub csv: Vec<u8>,
}

impl Figure {
    /// Draws it: equal records, equal bytes.
    ///
    /// # Errors
    /// [`ReportError`] if it cannot be drawn.
    pub fn draw(&self) -> Result<Drawing, ReportError> {
        let drawn = draw::draw(&self.chart);
        let (svg, png) = drawn.map_err(|message| ReportError::Figure { name: self.name.clone(), message })?;
        Ok(Drawing { svg, png, csv: crate::csv::bytes(&self.data)? })
    }
}

/// Every figure that the runs have something for.
pub fn figures(runs: &[Run<'_>]) -> Vec<Figure> {
    let mut figures = interpolation::figures(runs);
    figures.extend(barriers::figure(runs));
    figures.extend(landing::figure(runs));
    figures.extend(walk::cosine(runs));
    figures.extend(walk::distance(runs));
    figures.extend(alignment::figures(runs));
    figures.extend(spectrum::figures(runs));
    figures.extend(plane::figures(runs));
    figures
}

/// A header and the cells of each row.
fn data(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let header = header.iter().map(|&name| name.to_owned()).collect();
    std::iter::once(header).chain(rows).collect()
}

/// The name of a figure that each run has of its own.
fn name_of(what: &str, run: &Run<'_>, runs: &[Run<'_>]) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.=".contains(c) { c } else { '_' };
    match runs {
        [_] => what.to_owned(),
        _ => format!("{what}-{}", run.label.chars().map(plain).collect::<String>()),
    }
}
