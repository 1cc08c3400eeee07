//! Draws charts with kuva. The colors are those of Okabe and Ito, which colorblind readers can distinguish; line styles differ
//! as well.

use kuva::backend::svg::SvgBackend;
use kuva::prelude::*;
use kuva::render::layout::ComputedLayout;
use kuva::render::render::{collect_legend_entries, render_multiple};

use crate::chart::{Axis, Chart, Levels, Rule, Series, Stroke};

/// Width in pixels of a figure in a paper's column of 84 mm (3.3 inches), where 14 pixels are 6.4 points.
const COLUMN: f64 = 520.0;
/// Height of a figure with a one-line legend.
const HEIGHT: f64 = 360.0;
/// Width of the margin left of the axes.
const LEFT: f64 = 88.0;
/// Pixels of the PNG per pixel of the SVG: about 300 per inch in a paper's column.
const PNG_SCALE: f32 = 2.0;

const COLORS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];

/// How wide figures are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FigureWidth {
    /// One column of a two-column paper, 84 mm.
    #[default]
    Column,
    /// The text width of a two-column paper, 178 mm.
    Page,
}

impl FigureWidth {
    fn pixels(self) -> f64 {
        match self {
            Self::Column => COLUMN,
            Self::Page => COLUMN * 178.0 / 84.0,
        }
    }

    /// Characters per line of the note under the title.
    fn note_characters(self) -> usize {
        (self.pixels() / COLUMN * 72.0) as usize
    }
}

/// A drawn chart.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// Vector graphics, for any size.
    pub(crate) svg: String,
    /// Pixels, for print at 300 dots per inch at a paper's column width.
    pub(crate) png: Vec<u8>,
}

/// Draws the chart; equal charts give equal bytes. An error is kuva's message.
pub(crate) fn draw(chart: &Chart, width: FigureWidth) -> Result<Picture, String> {
    let mut plots: Vec<Plot> = chart.levels.iter().map(levels).collect();
    plots.extend(chart.series.iter().flat_map(|line| series(line, &chart.y)));
    let layout = layout(chart, &plots, width);
    let scene = render_multiple(plots, layout);
    let png = PngBackend::new().with_scale(PNG_SCALE).render_scene(&scene)?;
    Ok(Picture { svg: without_counter(&SvgBackend.render_scene(&scene)), png })
}

/// kuva names a picture's clip path by a counter of the process; without its value, equal charts give equal bytes.
fn without_counter(svg: &str) -> String {
    let mut parts = svg.split("kuva-clip-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "kuva-clip" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn levels(levels: &Levels) -> Plot {
    ContourPlot::new()
        .with_grid(levels.values.clone(), levels.x.clone(), levels.y.clone())
        .with_n_levels(12)
        .with_filled()
        .with_legend(&levels.name)
        .into()
}

/// Beyond this magnitude, the extent of an axis could overflow.
const LARGEST: f64 = 1e300;

/// The points that can be drawn, clamped to the axis limits: kuva would draw every dash on the way to a point far outside the
/// figure.
fn drawable(points: &[(f64, f64)], y: &Axis) -> Vec<(f64, f64)> {
    let (min, max) = (y.min.unwrap_or(-LARGEST), y.max.unwrap_or(LARGEST));
    let points = points.iter().filter(|(x, y)| x.abs() <= LARGEST && !y.is_nan());
    points.map(|&(x, y)| (x, y.max(min).min(max))).collect()
}

fn series(series: &Series, y: &Axis) -> Vec<Plot> {
    let color = COLORS[series.number % COLORS.len()];
    let points = drawable(&series.points, y);
    let line = LinePlot::new().with_data(points.clone()).with_color(color).with_stroke_width(1.6);
    let stroke = if series.stroke == Stroke::InTurn { Stroke::nth(series.number) } else { series.stroke };
    let mut line = match stroke {
        Stroke::Solid | Stroke::InTurn => line,
        Stroke::Dashed => line.with_dashed(),
        Stroke::DashDotted => line.with_dashdot(),
        Stroke::Dotted => line.with_dotted(),
    };
    if !series.band.is_empty() {
        let (lower, upper): (Vec<f64>, Vec<f64>) = series.band.iter().copied().unzip();
        line = line.with_band(lower, upper);
    }
    if let Some(name) = &series.name {
        line = line.with_legend(name);
    }
    let dots =
        series.dots.then(|| ScatterPlot::new().with_data(points).with_color(color).with_size(2.5).into());
    std::iter::once(line.into()).chain(dots).collect()
}

fn rule(rule: &Rule) -> ReferenceLine {
    let line =
        if rule.upright { ReferenceLine::vertical(rule.at) } else { ReferenceLine::horizontal(rule.at) };
    let line = if let Some(number) = rule.number {
        line.with_color(COLORS[number % COLORS.len()]).with_stroke_width(0.8)
    } else if rule.faint {
        line.with_color("#c8c8c8").with_stroke_width(0.6).with_dasharray("none")
    } else {
        line.with_color("#808080").with_stroke_width(1.0)
    };
    match &rule.label {
        Some(label) => line.with_label(label),
        None => line,
    }
}

fn layout(chart: &Chart, plots: &[Plot], width: FigureWidth) -> Layout {
    let mut layout = Layout::auto_from_plots(plots)
        .with_width(width.pixels())
        .with_height(HEIGHT)
        .with_title(&chart.title)
        .with_title_size(15)
        .with_subtitle(&chart.note)
        .with_subtitle_size(12)
        .with_subtitle_wrap(width.note_characters())
        .with_x_label(&chart.x.label)
        .with_y_label(&chart.y.label)
        .with_label_size(14)
        .with_tick_size(12)
        .with_body_size(12)
        .with_legend_position(LegendPosition::OutsideBottomColumns)
        .with_legend_box(false)
        // away from the legend below it
        .with_x_label_offset(0.0, -12.0)
        // room for the longest tick label next to the axis label, and for half a tick label at the right end
        .with_force_margins(LEFT, 32.0)
        .with_show_grid(false);
    if chart.levels.is_some() {
        layout =
            layout.with_legend_position(LegendPosition::OutsideRightMiddle).with_force_margins(LEFT, 112.0);
    }
    if chart.x.log {
        layout = layout.with_log_x();
        // end at the values, not at the next power of ten
        if let Some((low, high)) = x_range(chart).filter(|(low, high)| 0.0 < *low && low < high) {
            layout = layout.with_x_axis_min(low).with_x_axis_max(high);
            if high >= 1e5 {
                layout = layout.with_x_tick_format(TickFormat::Sci);
            }
        }
    }
    if let Some(step) = chart.x.integer.then(|| x_range(chart)).flatten().and_then(integer_step) {
        layout = layout.with_x_tick_step(step);
    }
    let y_range = chart.y.min.zip(chart.y.max);
    if let Some(step) = y_range.filter(|_| chart.y.integer).and_then(integer_step) {
        layout = layout.with_y_tick_step(step);
    }
    if chart.y.log {
        layout = layout.with_log_y().with_y_tick_format(TickFormat::Sci);
    }
    if chart.y.min.is_some() && chart.y.max.is_some() {
        layout = layout.with_clamp_axis();
    }
    if let Some(min) = chart.y.min {
        layout = layout.with_y_axis_min(min);
    }
    if let Some(max) = chart.y.max {
        layout = layout.with_y_axis_max(max);
    }
    if chart.levels.is_none() {
        layout = with_room_for_legend(layout, plots);
    }
    chart.rules.iter().fold(layout, |layout, line| layout.with_reference_line(rule(line)))
}

/// The range of the lines' values.
fn x_range(chart: &Chart) -> Option<(f64, f64)> {
    let values = || chart.series.iter().flat_map(|series| &series.points).map(|point| point.0);
    values().reduce(f64::min).zip(values().reduce(f64::max))
}

/// The spacing for about five integer ticks.
fn integer_step((low, high): (f64, f64)) -> Option<f64> {
    let least = ((high - low) / 6.0).max(1.0);
    let decade = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * decade).find(|step| *step >= least)?;
    step.is_finite().then_some(step)
}

/// Makes the figure taller by the height of the legend's rows beyond the first; all of them fit and the axes keep their size.
fn with_room_for_legend(layout: Layout, plots: &[Plot]) -> Layout {
    let mut entries = collect_legend_entries(plots);
    // columns are as wide as their names; the spaces separate a name from the next entry
    entries.iter_mut().for_each(|entry| entry.label.push_str("    "));
    let count = entries.len();
    let layout = layout.with_legend_entries(entries);
    let computed = ComputedLayout::from_layout(&layout);
    let rows = count.div_ceil(computed.legend_col_count.max(1)).max(1);
    layout.with_height(HEIGHT + (rows - 1) as f64 * computed.legend_line_height)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of an attribute of an SVG's texts.
    fn text_attributes(svg: &str, attribute: &str) -> Vec<f64> {
        let texts = svg.split("<text ").skip(1).filter_map(|text| text.split('>').next());
        let value = |text: &str| {
            let value = text.split_once(&format!("{attribute}=\""))?.1;
            value.split('"').next()?.parse().ok()
        };
        texts.filter_map(value).collect()
    }

    #[test]
    fn every_name_of_a_long_legend_is_within_the_figure() {
        let mut chart = Chart::new("title", "x", "y");
        for number in 0..20 {
            let name = format!("a run with a long name, number {number}");
            chart.series.push(Series::new(number, name, vec![(0.0, 0.0), (1.0, number as f64)]));
        }
        let svg = draw(&chart, FigureWidth::Column).unwrap().svg;
        let height: f64 = svg.split_once("height=\"").unwrap().1.split('"').next().unwrap().parse().unwrap();
        let lowest = text_attributes(&svg, " y").into_iter().fold(0.0, f64::max);
        assert!(svg.matches("a run with a long name").count() == 20, "{svg}");
        assert!(lowest > HEIGHT && lowest < height, "{lowest} of {height}");
    }
}
