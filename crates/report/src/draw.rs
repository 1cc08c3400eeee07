//! Draws charts with kuva. The colors are those of Okabe and Ito, which colorblind readers can distinguish; line styles differ
//! as well.

use std::sync::Arc;

use kuva::backend::svg::SvgBackend;
use kuva::prelude::*;
use kuva::render::layout::ComputedLayout;
use kuva::render::render::{collect_legend_entries, render_multiple};
use kuva::render::render_utils::{compute_tick_step, wrap_text};

use crate::chart::{Axis, Chart, Levels, Rule, Series, Stroke};
use crate::ticks::{Ticks, power};

/// Width in pixels of a figure in a paper's column of 84 mm (3.3 inches), where 14 pixels are 6.4 points.
const COLUMN: f64 = 520.0;
/// Height of a figure with a one-line legend.
const HEIGHT: f64 = 360.0;
/// Width of the margin left of the axes, unless tick labels need more.
const LEFT: f64 = 88.0;
/// Width of that margin without tick labels.
const BESIDE_TICKS: f64 = 36.0;
/// Width of the tick labels of a logarithmic axis.
const LOG_LABEL: f64 = 40.0;
/// Height of a line of the title and width of a line of an axis label.
const LINE: f64 = 17.0;
/// Number of ticks that kuva aims for on the scale of levels.
const SCALE_TICKS: usize = 5;
/// Characters per line of the label of the y axis.
const Y_LABEL_CHARACTERS: usize = 30;
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

    /// Maximum number of characters per line of the title.
    fn title_characters(self) -> usize {
        (self.pixels() / COLUMN * 56.0) as usize
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

/// Whether a point can be drawn.
fn is_drawable((x, y): (f64, f64)) -> bool {
    x.abs() <= LARGEST && !y.is_nan()
}

/// A value clamped to the axis limits: kuva would draw every dash on the way to a point far outside the figure.
fn clamped(y: f64, axis: &Axis) -> f64 {
    y.max(axis.min.unwrap_or(-LARGEST)).min(axis.max.unwrap_or(LARGEST))
}

/// The connected parts of a line, and its marked points.
fn series(series: &Series, y: &Axis) -> Vec<Plot> {
    let color = COLORS[series.number % COLORS.len()];
    let stroke = if series.stroke == Stroke::InTurn { Stroke::nth(series.number) } else { series.stroke };
    let (mut lines, mut marked) = (vec![], vec![]);
    for piece in series.pieces() {
        let shown = piece.filter(|&index| is_drawable(series.points[index]));
        let shown: Vec<usize> = shown.collect();
        let points = shown.iter().map(|&index| series.points[index]).map(|(x, at)| (x, clamped(at, y)));
        let points: Vec<(f64, f64)> = points.collect();
        // a line through one point would be invisible
        if series.dots || points.len() == 1 {
            marked.extend(points.iter().copied());
        }
        let line = LinePlot::new().with_data(points).with_color(color).with_stroke_width(1.6);
        let mut line = match stroke {
            Stroke::Solid | Stroke::InTurn => line,
            Stroke::Dashed => line.with_dashed(),
            Stroke::DashDotted => line.with_dashdot(),
            Stroke::Dotted => line.with_dotted(),
        };
        if !series.band.is_empty() {
            let (lower, upper): (Vec<f64>, Vec<f64>) = shown.iter().map(|&index| series.band[index]).unzip();
            line = line.with_band(lower, upper);
        }
        if let Some(name) = series.name.as_ref().filter(|_| lines.is_empty()) {
            line = line.with_legend(name);
        }
        lines.push(line.into());
    }
    if !marked.is_empty() {
        lines.push(ScatterPlot::new().with_data(marked).with_color(color).with_size(2.5).into());
    }
    lines
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
        .with_title_wrap(balanced(&chart.title, width.title_characters()))
        .with_subtitle(&chart.note)
        .with_subtitle_size(12)
        .with_subtitle_wrap(width.note_characters())
        .with_x_label(&chart.x.label)
        .with_y_label(&chart.y.label)
        .with_y_label_wrap(Y_LABEL_CHARACTERS)
        .with_label_size(14)
        .with_tick_size(12)
        .with_body_size(12)
        .with_legend_position(LegendPosition::OutsideBottomColumns)
        .with_legend_box(false)
        // away from the legend below it
        .with_x_label_offset(0.0, -12.0)
        .with_show_grid(false);
    if chart.levels.is_some() {
        layout = layout.with_legend_position(LegendPosition::OutsideRightMiddle);
    }
    if chart.x.log {
        layout = layout.with_log_x().with_x_tick_format(tick_format(power));
        // end at the values, not at the next power of ten
        if let Some((low, high)) = x_range(chart).filter(|(low, high)| 0.0 < *low && low < high) {
            layout = layout.with_x_axis_min(low).with_x_axis_max(high);
        }
    }
    if chart.y.log {
        layout = layout.with_log_y().with_y_tick_format(tick_format(power));
    }
    if chart.y.min.is_some() && chart.y.max.is_some() {
        layout = layout.with_clamp_axis();
    }
    let constant = constant(chart).filter(|_| !chart.y.log && chart.levels.is_none()).map(around);
    let constant = constant.filter(|(low, high)| low < high);
    if let Some(min) = chart.y.min.or(constant.map(|ends| ends.0)) {
        layout = layout.with_y_axis_min(min);
    }
    if let Some(max) = chart.y.max.or(constant.map(|ends| ends.1)) {
        layout = layout.with_y_axis_max(max);
    }
    if let Some(min) = chart.x.min {
        layout = layout.with_x_axis_min(min);
    }
    if let Some(max) = chart.x.max {
        layout = layout.with_x_axis_max(max);
    }
    layout = with_ticks(layout, chart);
    layout = with_room_for_texts(layout, chart, plots);
    chart.rules.iter().fold(layout, |layout, line| layout.with_reference_line(rule(line)))
}

/// The range of the lines' values.
fn x_range(chart: &Chart) -> Option<(f64, f64)> {
    let values = || chart.series.iter().flat_map(|series| &series.points).map(|point| point.0);
    values().reduce(f64::min).zip(values().reduce(f64::max))
}

/// The value that all lines and bands have everywhere.
fn constant(chart: &Chart) -> Option<f64> {
    let values = || {
        let values = chart.series.iter().flat_map(|series| {
            let edges = series.band.iter().flat_map(|&(lower, upper)| [lower, upper]);
            series.points.iter().map(|point| point.1).chain(edges)
        });
        values.filter(|value| !value.is_nan()).map(|value| value.clamp(-LARGEST, LARGEST))
    };
    let (low, high) = values().reduce(f64::min).zip(values().reduce(f64::max))?;
    (low >= high).then_some(low)
}

/// An axis around a single value. If it is 0, it is most likely a quantity that cannot be negative.
fn around(value: f64) -> (f64, f64) {
    if value == 0.0 { (0.0, 1.0) } else { (value - 0.1 * value.abs(), value + 0.1 * value.abs()) }
}

fn tick_format(label: impl Fn(f64) -> String + Send + Sync + 'static) -> TickFormat {
    TickFormat::Custom(Arc::new(label))
}

/// Sets the ticks of linear axes, and of the scale of levels.
fn with_ticks(mut layout: Layout, chart: &Chart) -> Layout {
    let computed = ComputedLayout::from_layout(&layout);
    let ticks = |axis: &Axis, (low, high): (f64, f64), count: usize| {
        let step = if axis.integer {
            Ticks::integer_step((low, high))?
        } else {
            compute_tick_step(low, high, count)
        };
        Ticks::new((low, high), step).filter(|_| !axis.log)
    };
    if let Some(ticks) = ticks(&chart.x, computed.x_range, computed.x_ticks) {
        layout =
            layout.with_x_tick_step(ticks.step).with_x_tick_format(tick_format(move |at| ticks.label(at)));
    }
    if let Some(ticks) = ticks(&chart.y, computed.y_range, computed.y_ticks) {
        layout =
            layout.with_y_tick_step(ticks.step).with_y_tick_format(tick_format(move |at| ticks.label(at)));
    }
    let values = || chart.levels.iter().flat_map(|levels| levels.values.iter().flatten().copied());
    let range = values().reduce(f64::min).zip(values().reduce(f64::max));
    if let Some(ticks) = range.and_then(|range| ticks(&Axis::default(), range, SCALE_TICKS)) {
        layout = layout.with_colorbar_tick_format(tick_format(move |at| ticks.label(at)));
    }
    layout
}

/// Makes room for what is longer than usual: a wider margin for tick labels and the label of the y axis, and a taller figure for
/// the title and the legend, so that the axes keep their height and every row of the legend fits.
fn with_room_for_texts(layout: Layout, chart: &Chart, plots: &[Plot]) -> Layout {
    let computed = ComputedLayout::from_layout(&layout);
    let label_lines = wrap_text(&chart.y.label, Y_LABEL_CHARACTERS).len();
    // kuva measures its own labels for logarithmic axes, which are longer
    let tick_label = if chart.y.log { LOG_LABEL } else { computed.y_tick_label_px };
    let left = LEFT.max(BESIDE_TICKS + tick_label + (label_lines - 1) as f64 * LINE);
    let mut height = HEIGHT + computed.title_lines.saturating_sub(1) as f64 * LINE;
    if chart.levels.is_some() {
        return layout.with_height(height).with_force_margins(left, 112.0);
    }
    let mut entries = collect_legend_entries(plots);
    // columns are as wide as their names; the spaces separate a name from the next entry
    entries.iter_mut().for_each(|entry| entry.label.push_str("    "));
    let count = entries.len();
    // half a tick label is at the right end
    let layout = layout.with_legend_entries(entries).with_force_margins(left, 32.0);
    let computed = ComputedLayout::from_layout(&layout);
    let rows = count.div_ceil(computed.legend_col_count.max(1)).max(1);
    height += (rows - 1) as f64 * computed.legend_line_height;
    layout.with_height(height)
}

/// The number of characters per line that breaks a title into lines of about the same length.
fn balanced(title: &str, most: usize) -> usize {
    let lines = |characters: usize| wrap_text(title, characters).len();
    (1..most).find(|&characters| lines(characters) <= lines(most)).unwrap_or(most)
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

    fn svg(chart: &Chart) -> String {
        draw(chart, FigureWidth::Column).unwrap().svg
    }

    fn height(svg: &str) -> f64 {
        svg.split_once("height=\"").unwrap().1.split('"').next().unwrap().parse().unwrap()
    }

    /// The texts of an SVG.
    fn texts(svg: &str) -> Vec<&str> {
        let texts = svg.split("<text ").skip(1).filter_map(|text| text.split_once('>'));
        texts.filter_map(|(_, text)| text.split('<').next()).collect()
    }

    #[test]
    fn every_name_of_a_long_legend_is_within_the_figure() {
        let mut chart = Chart::new("title", "x", "y");
        for number in 0..20 {
            let name = format!("a run with a long name, number {number}");
            chart.series.push(Series::new(number, name, vec![(0.0, 0.0), (1.0, number as f64)]));
        }
        let svg = svg(&chart);
        let lowest = text_attributes(&svg, " y").into_iter().fold(0.0, f64::max);
        assert!(svg.matches("a run with a long name").count() == 20, "{svg}");
        assert!(lowest > HEIGHT && lowest < height(&svg), "{lowest} of {}", height(&svg));
    }

    fn drawn(points: &[(f64, f64)]) -> Chart {
        let series = vec![Series { points: points.to_vec(), ..Series::default() }];
        Chart { series, ..Chart::new("title", "x", "y") }
    }

    #[test]
    fn ticks_of_narrow_and_tiny_ranges_differ() {
        let narrow = svg(&drawn(&[(0.0, 2.3861), (1.0, 2.38612)]));
        assert!(texts(&narrow).contains(&"2.386105"), "{:?}", texts(&narrow));
        let tiny = svg(&drawn(&[(0.0, 0.0), (1.0, 1.2e-5)]));
        let labels = texts(&tiny);
        assert!(labels.contains(&"0.50e-5") && labels.iter().all(|label| label.len() <= 7), "{labels:?}");
    }

    #[test]
    fn counts_have_whole_ticks() {
        let mut chart = drawn(&[(16.0, 1.0), (18.0, 2.0)]);
        chart.x.integer = true;
        let svg = svg(&chart);
        let labels = texts(&svg);
        assert!(labels.contains(&"17") && !labels.iter().any(|label| label.starts_with("17.")), "{labels:?}");
    }

    #[test]
    fn a_series_of_zeros_is_on_an_axis_from_zero() {
        let zeros = svg(&drawn(&[(0.0, 0.0), (1.0, 0.0)]));
        assert!(!texts(&zeros).iter().any(|label| label.starts_with('-')), "{:?}", texts(&zeros));
        // nor does a small rate appear to be near a negative one
        let constant = svg(&drawn(&[(0.0, 0.05), (1.0, 0.05)]));
        assert!(texts(&constant).contains(&"0.050"), "{:?}", texts(&constant));
    }

    #[test]
    fn long_titles_are_broken_and_the_figure_is_taller() {
        let title = "At epoch 25: eigenvalues, largest (first), matrix = Hessian versus lr";
        let long = svg(&Chart { title: title.into(), ..drawn(&[(0.0, 0.0), (1.0, 1.0)]) });
        assert!(
            height(&long) > HEIGHT && texts(&long).iter().all(|text| text.len() < 56),
            "{:?}",
            texts(&long)
        );
        assert_eq!(balanced(title, 56), 35);
    }

    #[test]
    fn a_broken_line_is_drawn_in_pieces_with_one_name() {
        let points = [(0.0, 0.0), (1.0, 1.0), (5.0, 5.0), (8.0, 8.0), (9.0, 9.0)];
        let mut chart = drawn(&points);
        (chart.series[0].name, chart.series[0].breaks) = (Some("line".into()), vec![2, 3]);
        assert_eq!(chart.series[0].pieces(), [0..2, 2..3, 3..5]);
        let svg = svg(&chart);
        assert_eq!(svg.matches(">line").count(), 1, "{:?}", texts(&svg));
        // the single point is marked
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
    }
}
