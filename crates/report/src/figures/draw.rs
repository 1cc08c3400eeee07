//! Charts as pictures, by kuva. Colours are Okabe's and Ito's, which colour-blind readers tell apart; line styles differ
//! besides.

use kuva::backend::svg::SvgBackend;
use kuva::prelude::*;
use kuva::render::render::render_multiple;

use super::chart::{Chart, Levels, Rule, Series, Stroke};

/// Width and height of a figure: 520 pixels are a paper's column of 84 mm, so that 14 pixels are 6.4 points.
const SIZE: (f64, f64) = (520.0, 360.0);
/// Pixels of the PNG per pixel of the SVG: 990 over 84 mm.
const PNG_SCALE: f32 = 2.0;

const COLORS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];

/// The chart as SVG and PNG.
///
/// # Errors
/// What kuva says if it cannot be drawn.
pub(super) fn draw(chart: &Chart) -> Result<(String, Vec<u8>), String> {
    let mut plots: Vec<Plot> = chart.levels.iter().map(levels).collect();
    plots.extend(chart.series.iter().flat_map(series));
    let layout = layout(chart, &plots);
    let scene = render_multiple(plots, layout);
    let png = PngBackend::new().with_scale(PNG_SCALE).render_scene(&scene)?;
    Ok((SvgBackend.render_scene(&scene), png))
}

fn levels(levels: &Levels) -> Plot {
    ContourPlot::new()
        .with_grid(levels.values.clone(), levels.x.clone(), levels.y.clone())
        .with_n_levels(12)
        .with_filled()
        .with_legend(&levels.name)
        .into()
}

fn series(series: &Series) -> Vec<Plot> {
    let color = COLORS[series.number % COLORS.len()];
    let line = LinePlot::new().with_data(series.points.clone()).with_color(color).with_stroke_width(1.6);
    let mut line = match (series.stroke, series.number % 4) {
        (Stroke::Solid, _) | (Stroke::InTurn, 0) => line,
        (Stroke::Dashed, _) | (Stroke::InTurn, 1) => line.with_dashed(),
        (Stroke::InTurn, 2) => line.with_dashdot(),
        (Stroke::InTurn, _) => line.with_dotted(),
    };
    if !series.band.is_empty() {
        let (lower, upper): (Vec<f64>, Vec<f64>) = series.band.iter().copied().unzip();
        line = line.with_band(lower, upper);
    }
    if let Some(name) = &series.name {
        line = line.with_legend(name);
    }
    let dots = series
        .dots
        .then(|| ScatterPlot::new().with_data(series.points.clone()).with_color(color).with_size(2.5).into());
    std::iter::once(line.into()).chain(dots).collect()
}

fn rule(rule: &Rule) -> ReferenceLine {
    let line =
        if rule.upright { ReferenceLine::vertical(rule.at) } else { ReferenceLine::horizontal(rule.at) };
    let line = if rule.faint {
        line.with_color("#c8c8c8").with_stroke_width(0.6).with_dasharray("none")
    } else {
        line.with_color("#808080").with_stroke_width(1.0)
    };
    match &rule.label {
        Some(label) => line.with_label(label),
        None => line,
    }
}

fn layout(chart: &Chart, plots: &[Plot]) -> Layout {
    let mut layout = Layout::auto_from_plots(plots)
        .with_width(SIZE.0)
        .with_height(SIZE.1)
        .with_title(&chart.title)
        .with_title_size(15)
        .with_x_label(&chart.x.label)
        .with_y_label(&chart.y.label)
        .with_label_size(14)
        .with_tick_size(12)
        .with_body_size(12)
        .with_legend_position(LegendPosition::OutsideBottomColumns)
        .with_legend_box(false)
        // away from the legend below it
        .with_x_label_offset(0.0, -12.0)
        // room for half a tick's label at the right end
        .with_force_margins(72.0, 32.0)
        .with_show_grid(false);
    if chart.levels.is_some() {
        layout =
            layout.with_legend_position(LegendPosition::OutsideRightMiddle).with_force_margins(72.0, 112.0);
    }
    if chart.x.log {
        layout = layout.with_log_x();
    }
    if chart.y.log {
        layout = layout.with_log_y();
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
    chart.rules.iter().fold(layout, |layout, line| layout.with_reference_line(rule(line)))
}
