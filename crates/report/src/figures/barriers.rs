//! Barriers by epoch (paper, Figure 4).

use kuva::prelude::*;

use super::{Figure, Run, data, layout, line};
use crate::Summary;

/// How many barriers each measured epoch had, a line per run; `None` if fewer than two epochs were measured.
pub(super) fn figure(runs: &[Run<'_>]) -> Option<Figure> {
    let summaries: Vec<Summary> = runs.iter().map(|run| Summary::new(run.label, run.rows)).collect();
    let measured = |summary: &Summary| -> Vec<(u32, usize, usize)> {
        let epochs = summary.epochs.iter().filter(|(_, segments)| segments.measured > 0);
        epochs.map(|(&epoch, segments)| (epoch, segments.barriers, segments.measured)).collect()
    };
    if summaries.iter().all(|summary| measured(summary).len() < 2) {
        return None;
    }
    let plots = summaries.iter().enumerate().map(|(index, summary)| {
        let points = measured(summary).iter().map(|&(epoch, n, _)| (f64::from(epoch), n as f64)).collect();
        Plot::from(line(index, points).with_legend(&summary.label))
    });
    let plots: Vec<Plot> = plots.collect();
    let layout = layout(&plots, "Barriers crossed", "epoch", "barriers").with_y_axis_min(0.0);
    let cells = summaries.iter().flat_map(|summary| {
        measured(summary).into_iter().map(|(epoch, barriers, updates)| {
            vec![summary.label.clone(), epoch.to_string(), barriers.to_string(), updates.to_string()]
        })
    });
    let data = data(&["run", "epoch", "barriers", "updates"], cells);
    Some(Figure { name: "barriers".into(), plots, layout, data })
}
