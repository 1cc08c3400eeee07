//! The loss along consecutive updates (paper, Figures 1 to 3).

use std::collections::BTreeMap;

use walk_record::{InterpolationRow, Row};

use super::chart::{Chart, Rule, Series, Stroke};
use super::{Figure, Run, data, name_of};
use crate::summary::is_one_update_per_epoch;

/// Updates of an epoch that are drawn, as in the paper.
const UPDATES: usize = 40;

/// For each run and epoch the first measured updates that follow each other: the loss between them, a grey line at each, and
/// the valley floor, dashed. Where an epoch is one update, the run's are drawn together.
pub(super) fn figures(runs: &[Run<'_>]) -> Vec<Figure> {
    let each = runs.iter().flat_map(|run| {
        let together = is_one_update_per_epoch(run.rows);
        let mut epochs: BTreeMap<u32, Vec<&InterpolationRow>> = BTreeMap::new();
        for row in run.rows {
            if let Row::Interpolation(row) = row {
                let rows = epochs.entry(if together { 0 } else { row.epoch }).or_default();
                let follows = rows.last().is_none_or(|last| last.step + 1 == row.step);
                if follows && rows.len() < UPDATES {
                    rows.push(row);
                }
            }
        }
        epochs.into_iter().map(move |(epoch, rows)| match epoch {
            0 => figure(name_of("interpolation", run, runs), run.label, &rows),
            _ => {
                let name = name_of("interpolation", run, runs);
                figure(format!("{name}-epoch-{epoch}"), &format!("{}, epoch {epoch}", run.label), &rows)
            }
        })
    });
    each.collect()
}

fn figure(name: String, title: &str, rows: &[&InterpolationRow]) -> Figure {
    // update k of the epoch leads from k - 1 to k; of epochs of one update each counts
    let update = |row: &InterpolationRow| match rows {
        [first, second, ..] if first.epoch != second.epoch => row.step as f64,
        _ => f64::from(row.iteration),
    };
    let at = |row: &InterpolationRow, alpha: f64| update(row) - 1.0 + alpha;
    let curve = rows.iter().flat_map(|row| {
        row.alphas.iter().zip(&row.losses).map(|(&alpha, &loss)| (at(row, alpha), loss)).collect::<Vec<_>>()
    });
    let floor = rows.iter().map(|row| (at(row, row.min_alpha), row.min_loss)).collect();
    // each segment's then is an estimate of its own, so that curves need not meet
    let estimated = rows.iter().any(|row| row.mode == "adaptive" && row.ended.as_deref() != Some("exact"));
    let legend = if estimated { "training loss, estimated on a part" } else { "training loss" };
    let loss = Series { stroke: Stroke::Solid, ..Series::new(0, legend, curve.collect()) };
    let floor = Series { stroke: Stroke::Dashed, ..Series::new(1, "valley floor", floor) };
    let mut chart = Chart::new(title, "iteration", "training loss");
    let losses = rows.iter().flat_map(|row| row.losses.iter().copied());
    let (low, high) =
        (losses.clone().fold(f64::INFINITY, f64::min), losses.fold(f64::NEG_INFINITY, f64::max));
    let margin = 0.05 * (high - low);
    (chart.y.min, chart.y.max) = (Some(low - margin), Some(high + margin));
    chart.series = vec![floor, loss];
    let ends = rows.first().map(|row| at(row, 0.0)).into_iter().chain(rows.iter().map(|row| at(row, 1.0)));
    chart.rules = ends.map(|end| Rule { faint: true, ..Rule::upright(end) }).collect();
    let cells = rows.iter().flat_map(|row| {
        row.alphas.iter().zip(&row.losses).map(|(alpha, loss)| {
            vec![row.step.to_string(), row.iteration.to_string(), alpha.to_string(), loss.to_string()]
        })
    });
    Figure { name, chart, data: data(&["step", "iteration", "alpha", "loss"], cells) }
}
