//! The loss along consecutive updates (paper, Figures 1 to 3), barriers by epoch (Figure 4), and where steps land (Cockpit,
//! Schneider et al., 2021).

use walk_record::rows::{Ended, Interpolation, Mode};
use walk_record::{Run, Stamped};

use super::analysis::{EpochSegments, Segments};
use crate::chart::{Chart, Rule, Series, Stroke};
use crate::figure::{Figure, name_with_label, number};
use crate::table::{cells, or_dash};

/// Updates of an epoch that are drawn, as in the paper.
const UPDATES: usize = 40;

/// Range of landing positions that is drawn; those outside count at its ends.
const LANDINGS: [f64; 2] = [-1.0, 3.0];
const BINS: usize = 20;

/// The loss along updates, for each run and epoch; barriers by epoch and landing positions, a line per run.
pub(crate) fn figures(runs: &[Run]) -> Vec<Figure> {
    let mut figures: Vec<Figure> = runs.iter().flat_map(|run| losses_by_epoch(run, runs)).collect();
    figures.extend(barriers(runs));
    figures.push(landings(runs));
    figures
}

/// For each epoch the first measured updates that follow each other. Where an epoch is one update, the run's are drawn together.
fn losses_by_epoch(run: &Run, runs: &[Run]) -> Vec<Figure> {
    let name = name_with_label("interpolation", run, runs);
    let together = run.is_one_update_per_epoch();
    let figures = Segments::new(run).epochs.into_iter().map(|epoch| {
        let segments = &epoch.segments;
        let consecutive = segments.windows(2).take_while(|pair| pair[0].at.step + 1 == pair[1].at.step);
        let segments = &segments[..UPDATES.min(1 + consecutive.count())];
        if together {
            return losses(name.clone(), &run.label, segments, |segment| segment.at.step);
        }
        let title = format!("{}, epoch {}", run.label, epoch.epoch);
        let iteration = |segment: &Stamped<'_, Interpolation>| u64::from(segment.at.iteration);
        losses(format!("{name}-epoch-{}", epoch.epoch), &title, segments, iteration)
    });
    figures.collect()
}

/// The loss along segments, a gray line at the end of each, and the valley floor, dashed. The segment of update k leads from
/// k - 1 to k.
fn losses(
    name: String,
    title: &str,
    segments: &[Stamped<'_, Interpolation>],
    update: impl Fn(&Stamped<'_, Interpolation>) -> u64,
) -> Figure {
    let position = |segment: &Stamped<'_, Interpolation>, alpha: f64| update(segment) as f64 - 1.0 + alpha;
    let points = segments.iter().flat_map(|segment| {
        let known = segment.row.alphas.iter().zip(&segment.row.losses);
        known.filter_map(|(&alpha, loss)| Some((position(segment, alpha), loss.get()?))).collect::<Vec<_>>()
    });
    let points: Vec<(f64, f64)> = points.collect();
    let floor = segments
        .iter()
        .filter_map(|segment| Some((position(segment, segment.min_alpha.get()?), segment.min_loss.get()?)));
    // each segment is then estimated on its own samples, so that curves need not meet
    let is_estimated =
        segments.iter().any(|segment| segment.mode == Mode::Adaptive && segment.ended != Some(Ended::Exact));
    let legend = if is_estimated { "training loss, estimated on a part" } else { "training loss" };
    let mut chart = Chart::new(title, "iteration", "training loss");
    let losses = || points.iter().map(|&(_, loss)| loss);
    if let Some((low, high)) = losses().reduce(f64::min).zip(losses().reduce(f64::max)) {
        let margin = 0.05 * (high - low);
        (chart.y.min, chart.y.max) = (Some(low - margin), Some(high + margin));
    }
    let floor = Series { stroke: Stroke::Dashed, ..Series::new(1, "valley floor", floor.collect()) };
    chart.series = vec![floor, Series { stroke: Stroke::Solid, ..Series::new(0, legend, points) }];
    let ends = segments.iter().take(1).map(|segment| position(segment, 0.0));
    let ends = ends.chain(segments.iter().map(|segment| position(segment, 1.0)));
    chart.rules = ends.map(|end| Rule { faint: true, ..Rule::upright(end) }).collect();
    let lines = segments.iter().flat_map(|segment| {
        let points = segment.row.alphas.iter().zip(&segment.row.losses);
        points.map(|(alpha, &loss)| cells([&segment.at.step, &segment.at.iteration, alpha, &number(loss)]))
    });
    Figure::new(name, chart, "step,iteration,alpha,loss", lines)
}

/// How many barriers each measured epoch had, a line per run, and dashed how many of them pass the test; `None` if no run has two measured epochs.
fn barriers(runs: &[Run]) -> Option<Figure> {
    let mut chart = Chart::new("Barriers crossed", "epoch", "barriers");
    let mut lines = vec![];
    for (index, run) in runs.iter().enumerate() {
        let mut series = Series { dots: true, ..Series::new(index, &run.label, vec![]) };
        let mut tested =
            Series { stroke: Stroke::Dashed, ..Series::new(index, format!("{}, tested", run.label), vec![]) };
        for epoch in Segments::new(run).epochs {
            let (number, barriers, updates) = (epoch.epoch, epoch.barriers(), epoch.decided());
            series.points.push((f64::from(number), barriers as f64));
            let count = epoch.noise_test.as_ref().map(|_| epoch.tested_barriers());
            tested.points.extend(count.map(|count| (f64::from(number), count as f64)));
            let count = or_dash(count.map(|count| count.to_string()));
            lines.push(cells([&run.label, &number, &barriers, &updates, &count]));
        }
        chart.series.push(series);
        if !tested.points.is_empty() {
            chart.series.push(tested);
        }
    }
    if chart.series.iter().all(|series| series.points.len() < 2) {
        return None;
    }
    let counts = chart.series.iter().flat_map(|series| &series.points).map(|point| point.1);
    // a line at zero needs a scale to be drawn
    chart.y.max = Some((1.1 * counts.fold(0.0, f64::max)).max(5.0));
    chart.y.min = Some(0.0);
    Some(Figure::new("barriers", chart, "run,epoch,barriers,updates,tested", lines))
}

/// The share of steps by where they land on the parabola through their losses, an outline per run that has any: -1 at the start,
/// 0 at the floor, 1 on the opposite wall.
fn landings(runs: &[Run]) -> Figure {
    let width = (LANDINGS[1] - LANDINGS[0]) / BINS as f64;
    let left = |bin: usize| LANDINGS[0] + bin as f64 * width;
    let mut chart = Chart::new("Where steps land", "-1 start, 0 floor, 1 opposite wall", "share of steps");
    (chart.y.min, chart.rules) = (Some(0.0), vec![Rule::upright(0.0)]);
    let mut lines = vec![];
    for run in runs {
        let mut counts = vec![0usize; BINS];
        for landing in Segments::new(run).epochs.iter().flat_map(EpochSegments::landings) {
            let bin = ((landing - LANDINGS[0]) / width).floor().clamp(0.0, (BINS - 1) as f64);
            counts[bin as usize] += 1;
        }
        let total: usize = counts.iter().sum();
        if total == 0 {
            continue;
        }
        let mut outline = vec![];
        for (bin, count) in counts.into_iter().enumerate() {
            let (from, to, share) = (left(bin), left(bin + 1), count as f64 / total as f64);
            outline.extend([(from, share), (to, share)]);
            lines.push(cells([&run.label, &from, &to, &share]));
        }
        chart.series.push(Series::new(chart.series.len(), &run.label, outline));
    }
    Figure::new("landing", chart, "run,from,to,share", lines)
}
