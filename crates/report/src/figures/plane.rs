//! The loss on a plane (Li et al., 2018).

use kuva::prelude::*;
use walk_record::{PlaneRow, Row};

use super::interpolation::file_name;
use super::{Figure, Run, color, data, layout};

/// One figure per run and measured plane: levels of the loss, evenly spaced in its logarithm, and the trajectory.
pub(super) fn figures(runs: &[Run<'_>]) -> Vec<Figure> {
    let several = runs.len() > 1;
    let each = runs.iter().flat_map(|run| {
        let planes =
            run.rows.iter().filter_map(|row| if let Row::Plane(row) = row { Some(row) } else { None });
        planes.map(move |row| {
            let label = if several { format!("-{}", file_name(run.label)) } else { String::new() };
            figure(format!("plane{label}-step-{}", row.step), run.label, row)
        })
    });
    each.collect()
}

fn figure(name: String, label: &str, row: &PlaneRow) -> Figure {
    let logs: Vec<Vec<f64>> =
        row.losses.iter().map(|row| row.iter().map(|loss| loss.log10()).collect()).collect();
    let levels = ContourPlot::new()
        .with_grid(logs, row.x.clone(), row.y.clone())
        .with_n_levels(12)
        .with_filled()
        .with_legend("log10 loss");
    let mut plots: Vec<Plot> = vec![levels.into()];
    if !row.trajectory.is_empty() {
        let points: Vec<(f64, f64)> = row.trajectory.iter().map(|&[x, y]| (x, y)).collect();
        plots.push(
            LinePlot::new().with_data(points.clone()).with_color(color(1)).with_stroke_width(1.5).into(),
        );
        plots.push(ScatterPlot::new().with_data(points).with_color(color(1)).with_size(2.5).into());
    }
    let axis = |index: usize| match row.explained {
        Some(explained) => format!("component {} ({:.0}% of the walk)", index + 1, 100.0 * explained[index]),
        None => format!("random direction {}", index + 1),
    };
    let title = format!("{label}: the loss around update {}", row.step);
    let layout = layout(&plots, &title, &axis(0), &axis(1))
        .with_legend_position(LegendPosition::OutsideRightMiddle)
        .with_force_margins(72.0, 112.0);
    let cells = row.y.iter().zip(&row.losses).flat_map(|(y, losses)| {
        row.x.iter().zip(losses).map(move |(x, loss)| vec![x.to_string(), y.to_string(), loss.to_string()])
    });
    Figure { name, plots, layout, data: data(&["x", "y", "loss"], cells) }
}
