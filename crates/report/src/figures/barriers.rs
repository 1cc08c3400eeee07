//! Barriers by epoch (paper, Figure 4).

use super::chart::{Chart, Series};
use super::{Figure, Run, data};
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
    let mut chart = Chart::new("Barriers crossed", "epoch", "barriers");
    chart.y.min = Some(0.0);
    let lines = summaries.iter().enumerate().map(|(index, summary)| {
        let points = measured(summary).iter().map(|&(epoch, n, _)| (f64::from(epoch), n as f64)).collect();
        Series { dots: true, ..Series::new(index, &summary.label, points) }
    });
    chart.series = lines.collect();
    let highest =
        chart.series.iter().flat_map(|series| &series.points).map(|point| point.1).fold(0.0, f64::max);
    // a line at zero is not drawn on a scale of its own
    chart.y.max = Some((1.1 * highest).max(5.0));
    let cells = summaries.iter().flat_map(|summary| {
        measured(summary).into_iter().map(|(epoch, barriers, updates)| {
            vec![summary.label.clone(), epoch.to_string(), barriers.to_string(), updates.to_string()]
        })
    });
    Some(Figure {
        name: "barriers".into(),
        chart,
        data: data(&["run", "epoch", "barriers", "updates"], cells),
    })
}
