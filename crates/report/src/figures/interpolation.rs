//! The loss along consecutive updates (paper, Figures 1 to 3).

use std::collections::BTreeMap;

use kuva::prelude::*;
use walk_record::{InterpolationRow, Row};

use super::{Figure, Run, color, data, layout};

/// Updates of an epoch that are drawn, as in the paper.
const UPDATES: usize = 40;

/// For each run and epoch the first measured updates that follow each other: the loss between them, a grey line at each, and
/// the valley floor, dashed.
pub(super) fn figures(runs: &[Run<'_>]) -> Vec<Figure> {
    let several = runs.len() > 1;
    let each = runs.iter().flat_map(|run| {
        let mut epochs: BTreeMap<u32, Vec<&InterpolationRow>> = BTreeMap::new();
        for row in run.rows {
            if let Row::Interpolation(row) = row {
                let rows = epochs.entry(row.epoch).or_default();
                let follows = rows.last().is_none_or(|last| last.step + 1 == row.step);
                if follows && rows.len() < UPDATES {
                    rows.push(row);
                }
            }
        }
        epochs.into_iter().map(move |(epoch, rows)| {
            let name = if several {
                format!("interpolation-{}-epoch-{epoch}", file_name(run.label))
            } else {
                format!("interpolation-epoch-{epoch}")
            };
            figure(name, &format!("{}, epoch {epoch}", run.label), &rows)
        })
    });
    each.collect()
}

/// A label as part of a file's name.
pub(super) fn file_name(label: &str) -> String {
    label.chars().map(|c| if c.is_alphanumeric() || "-_.=".contains(c) { c } else { '_' }).collect()
}

fn figure(name: String, title: &str, rows: &[&InterpolationRow]) -> Figure {
    // update k of the epoch leads from k - 1 to k
    let at = |row: &InterpolationRow, alpha: f64| f64::from(row.iteration) - 1.0 + alpha;
    let curve = rows.iter().flat_map(|row| {
        row.alphas.iter().zip(&row.losses).map(|(&alpha, &loss)| (at(row, alpha), loss)).collect::<Vec<_>>()
    });
    let floor: Vec<(f64, f64)> = rows.iter().map(|row| (at(row, row.min_alpha), row.min_loss)).collect();
    let loss =
        LinePlot::new().with_data(curve.collect::<Vec<_>>()).with_color(color(0)).with_stroke_width(1.2);
    let floor = LinePlot::new().with_data(floor).with_color(color(1)).with_stroke_width(1.6).with_dashed();
    let losses = rows.iter().flat_map(|row| row.losses.iter().copied());
    let (low, high) =
        (losses.clone().fold(f64::INFINITY, f64::min), losses.fold(f64::NEG_INFINITY, f64::max));
    let margin = 0.05 * (high - low);
    let plots: Vec<Plot> =
        vec![floor.with_legend("valley floor").into(), loss.with_legend("training loss").into()];
    let mut layout = layout(&plots, title, "iteration", "training loss")
        .with_clamp_axis()
        .with_y_axis_min(low - margin)
        .with_y_axis_max(high + margin);
    let ends = rows.first().map(|row| at(row, 0.0)).into_iter().chain(rows.iter().map(|row| at(row, 1.0)));
    for end in ends {
        let grey =
            ReferenceLine::vertical(end).with_color("#c8c8c8").with_stroke_width(0.6).with_dasharray("none");
        layout = layout.with_reference_line(grey);
    }
    let cells = rows.iter().flat_map(|row| {
        row.alphas.iter().zip(&row.losses).map(|(alpha, loss)| {
            vec![row.step.to_string(), row.iteration.to_string(), alpha.to_string(), loss.to_string()]
        })
    });
    Figure { name, plots, layout, data: data(&["step", "iteration", "alpha", "loss"], cells) }
}
