//! Figures made from records alone, each with its numbers. Colours are Okabe's and Ito's, which colour-blind readers tell
//! apart; line styles differ besides.

mod alignment;
mod barriers;
mod interpolation;
mod landing;
mod plane;
mod spectrum;
mod walk;

use kuva::backend::svg::SvgBackend;
use kuva::prelude::*;
use kuva::render::render::render_multiple;
use walk_record::Row;

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
pub struct Figure {
    /// The name of its files, without their endings.
    pub name: String,
    plots: Vec<Plot>,
    layout: Layout,
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
    pub fn draw(self) -> Result<Drawing, ReportError> {
        let name = self.name;
        let scene = render_multiple(self.plots, self.layout);
        let png = PngBackend::new().with_scale(PNG_SCALE).render_scene(&scene);
        let png = png.map_err(|message| ReportError::Figure { name, message })?;
        let svg = SvgBackend.render_scene(&scene);
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

/// Width and height of a figure: 520 pixels are a paper's column of 84 mm, so that 14 pixels are 6.4 points.
const SIZE: (f64, f64) = (520.0, 360.0);
/// Pixels of the PNG per pixel of the SVG: 990 over 84 mm.
const PNG_SCALE: f32 = 2.0;

const COLORS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];

fn color(index: usize) -> &'static str {
    COLORS[index % COLORS.len()]
}

/// A line in the style of number `index`.
fn line(index: usize, points: Vec<(f64, f64)>) -> LinePlot {
    let line = LinePlot::new().with_data(points).with_color(color(index)).with_stroke_width(1.8);
    match index % 4 {
        0 => line,
        1 => line.with_dashed(),
        2 => line.with_dashdot(),
        _ => line.with_dotted(),
    }
}

/// The layout that all figures share.
fn layout(plots: &[Plot], title: &str, x: &str, y: &str) -> Layout {
    Layout::auto_from_plots(plots)
        .with_width(SIZE.0)
        .with_height(SIZE.1)
        .with_title(title)
        .with_title_size(15)
        .with_x_label(x)
        .with_y_label(y)
        .with_label_size(14)
        .with_tick_size(12)
        .with_body_size(12)
        .with_legend_position(LegendPosition::OutsideBottomColumns)
        .with_legend_box(false)
        // away from the legend below it
        .with_x_label_offset(0.0, -12.0)
        // room for half a tick's label at the right end
        .with_force_margins(72.0, 32.0)
        .with_show_grid(false)
}

/// A header and the cells of each row.
fn data(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let header = header.iter().map(|&name| name.to_owned()).collect();
    std::iter::once(header).chain(rows).collect()
}
