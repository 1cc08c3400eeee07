//! The loss along consecutive updates (paper, Figures 1 to 3), barriers by epoch (Figure 4), how high and how deep they are, and
//! where steps land (Cockpit, Schneider et al., 2021).

use std::collections::BTreeSet;

use walk_record::rows::{Ended, Interpolation, Mode};
use walk_record::{Measured, Run, Stamped};

use super::analysis::{EpochSegments, Segments};
use crate::chart::{Axis, Chart, Rule, Series, Stroke};
use crate::curve::{Curve, step_values};
use crate::figure::{Figure, columns};
use crate::table::short;
use crate::training::batch_size;

/// Number of updates of an epoch that are drawn, as in the paper.
const UPDATES: usize = 40;

/// Number of epochs that have a figure of their own, evenly spaced from the first to the last.
const EPOCHS: usize = 6;

/// Range of landing positions that is drawn. No landing is below it, and the share above it is in the figure's note.
const LANDINGS: [f64; 2] = [-1.0, 3.0];
const LANDING_BINS: usize = 20;

/// Bins per factor of ten of heights and depths.
const PER_DECADE: f64 = 4.0;

/// Barriers by epoch; their heights and the depths of valleys in units of the noise; landing positions; loss and valley floor over
/// the run.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let epochs = Segments::new(run).epochs;
    let mut curves = barriers(&epochs);
    curves.extend([heights(&epochs), depths(&epochs), landings(&epochs)]);
    curves.extend(valley_floor(run));
    curves
}

/// The loss before each measured update and the lowest loss along it, if there are more of them than one figure of single updates
/// shows. The lines do not cross epochs that were not measured.
fn valley_floor(run: &Run) -> Vec<Curve> {
    let epoch = run.info.data.train.div_ceil(batch_size(run).max(1));
    let curve = |variant: &str, value: fn(&Interpolation) -> Measured| {
        let curve = Curve::new("valley_floor", "Training loss and valley floor", "update", "training loss");
        let bridged = Some(epoch as f64);
        Curve { variant: variant.into(), bridged, ..curve.through(&step_values(run, value)) }
    };
    let loss = |row: &Interpolation| row.losses.first().copied().unwrap_or_default();
    let curves = vec![curve("loss before the update", loss), curve("valley floor", |row| row.min_loss)];
    if curves[0].points.len() > UPDATES { curves } else { vec![] }
}

/// For each epoch, or some of many, the loss along the first consecutive measured updates. If each epoch is one update, all updates of the run
/// are drawn together.
pub(crate) fn figures(run: &Run) -> Vec<Figure> {
    let together = run.is_one_update_per_epoch();
    let epochs = Segments::new(run).epochs;
    let last = epochs.len().saturating_sub(1);
    let spaced: BTreeSet<usize> = (0..EPOCHS).map(|place| place * last / (EPOCHS - 1)).collect();
    let figures = epochs.iter().enumerate().filter(|(index, _)| spaced.contains(index)).map(|(_, epoch)| {
        let segments = &epoch.segments;
        let consecutive = segments.windows(2).take_while(|pair| pair[0].at.step + 1 == pair[1].at.step);
        let segments = &segments[..UPDATES.min(1 + consecutive.count())];
        if together {
            return losses("interpolation".into(), "Loss along updates", segments, |segment| segment.at.step);
        }
        let title = format!("Loss along updates, epoch {}", epoch.epoch);
        let iteration = |segment: &Stamped<'_, Interpolation>| u64::from(segment.at.iteration);
        losses(format!("interpolation-epoch-{}", epoch.epoch), &title, segments, iteration)
    });
    figures.collect()
}

/// The loss along segments, a gray line at the end of each, and the valley floor, in one color where it rises and in another
/// where it falls. The segment of update k leads from k - 1 to k.
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
    let floor: Vec<(f64, f64)> = floor.collect();
    // each segment is then estimated on its own samples, so curves need not meet
    let is_estimated =
        segments.iter().any(|segment| segment.mode == Mode::Adaptive && segment.ended != Some(Ended::Exact));
    let mut chart = Chart::new(title, "update", "training loss");
    chart.x.integer = true;
    if is_estimated {
        chart.note = "estimated on a subset of the samples".into();
    }
    let losses = || points.iter().map(|&(_, loss)| loss);
    if let Some((low, high)) = losses().reduce(f64::min).zip(losses().reduce(f64::max)) {
        let margin = 0.05 * (high - low);
        (chart.y.min, chart.y.max) = (Some(low - margin), Some(high + margin));
    }
    chart.series = floor_moves(&floor);
    chart.series.push(Series { stroke: Stroke::Solid, ..Series::new(0, "training loss", points) });
    let ends = segments.iter().take(1).map(|segment| position(segment, 0.0));
    let ends = ends.chain(segments.iter().map(|segment| position(segment, 1.0)));
    chart.rules = ends.map(|end| Rule { faint: true, ..Rule::upright(end) }).collect();
    let lines = segments.iter().flat_map(|segment| {
        let points = segment.row.alphas.iter().zip(&segment.row.losses);
        points.map(|(&alpha, &loss)| {
            vec![
                (segment.at.step as usize).into(),
                (segment.at.iteration as usize).into(),
                short(alpha),
                short(loss),
            ]
        })
    });
    Figure::new(name, chart, columns(["step", "iteration", "alpha", "loss"]), lines)
}

/// The floor as rising (dotted) and falling (dashed) lines; the first of each kind is named in the legend.
fn floor_moves(floor: &[(f64, f64)]) -> Vec<Series> {
    let mut lines: Vec<Series> = vec![];
    for pair in floor.windows(2) {
        let rises = pair[1].1 > pair[0].1;
        let (number, name, stroke) = if rises {
            (1, "valley floor, rising", Stroke::Dotted)
        } else {
            (2, "valley floor, falling", Stroke::Dashed)
        };
        match lines.last_mut() {
            Some(line) if line.number == number => line.points.push(pair[1]),
            _ => {
                let is_named = lines.iter().any(|line| line.number == number);
                let name = (!is_named).then(|| name.to_owned());
                lines.push(Series { name, number, stroke, points: pair.to_vec(), ..Series::default() });
            }
        }
    }
    lines
}

/// How many barriers each measured epoch had, and how many of them pass the test, if there are two such epochs.
fn barriers(epochs: &[EpochSegments<'_>]) -> Vec<Curve> {
    if epochs.len() < 2 {
        return vec![];
    }
    let curve = |variant: &str, count: fn(&EpochSegments<'_>) -> Option<usize>| {
        let curve = Curve::new("barriers", "Barriers crossed", "epoch", "");
        let points = epochs.iter().filter_map(|epoch| Some((f64::from(epoch.epoch), count(epoch)? as f64)));
        let points: Vec<(f64, f64)> = points.collect();
        let mut y = Axis::of_counts("barriers");
        // a line at zero needs a given scale
        y.max = Some(points.iter().map(|point| (1.1 * point.1).ceil()).fold(5.0, f64::max));
        let x = Axis { integer: true, ..curve.x.clone() };
        Curve { variant: variant.into(), x, y, points, dots: true, ..curve }
    };
    let tested = curve("significant", |epoch| epoch.tested_barriers());
    let raw = curve(if tested.points.is_empty() { "" } else { "all" }, |epoch| Some(epoch.barriers()));
    vec![raw, tested]
}

/// Histogram of barrier heights in units of the noise.
fn heights(epochs: &[EpochSegments<'_>]) -> Curve {
    let heights = epochs.iter().flat_map(|epoch| {
        let sigma = epoch.noise_test.as_ref().map(|test| test.noise.sigma);
        epoch.heights().filter_map(move |height| Some(height / sigma?)).collect::<Vec<f64>>()
    });
    histogram("barrier_heights", "Barrier heights", "height / σ of the loss", &heights.collect::<Vec<f64>>())
}

/// Histogram of valley depths in units of the noise.
fn depths(epochs: &[EpochSegments<'_>]) -> Curve {
    let depths = epochs.iter().flat_map(|epoch| {
        let sigma = epoch.noise_test.as_ref().map(|test| test.noise.sigma);
        epoch
            .segments
            .iter()
            .filter_map(move |segment| Some(segment.depth.get()? / sigma?))
            .collect::<Vec<f64>>()
    });
    histogram("valley_depths", "Valley depths", "depth / σ of the loss", &depths.collect::<Vec<f64>>())
}

/// Histogram of positive values on a logarithmic axis; zeros are left out.
fn histogram(name: &str, title: &str, x: &str, values: &[f64]) -> Curve {
    let mut curve = Curve::new(name, title, x, "");
    curve.x.log = true;
    curve.y = Axis::of_counts("updates");
    let bin = |value: f64| (PER_DECADE * value.log10()).floor();
    let bins: Vec<i64> = values
        .iter()
        .filter(|&&value| value > 0.0 && value.is_finite())
        .map(|&value| bin(value) as i64)
        .collect();
    if let Some((first, last)) = bins.iter().min().zip(bins.iter().max()) {
        let center = |bin: i64| 10f64.powf((bin as f64 + 0.5) / PER_DECADE);
        let count = |bin: i64| bins.iter().filter(|&&other| other == bin).count() as f64;
        // make the line end on the axis
        curve.points = (first - 1..=last + 1).map(|bin| (center(bin), count(bin))).collect();
        curve.dots = true;
    }
    curve
}

/// The share of steps by where they land on the parabola through their losses: -1 at the start, 0 at the floor, 1 on the
/// opposite wall.
fn landings(epochs: &[EpochSegments<'_>]) -> Curve {
    landing_shares(&epochs.iter().flat_map(EpochSegments::landings).collect::<Vec<f64>>())
}

fn landing_shares(landings: &[f64]) -> Curve {
    let [low, high] = LANDINGS;
    let width = (high - low) / LANDING_BINS as f64;
    let mut curve =
        Curve::new("landing", "Where steps land", "−1 start, 0 floor, 1 opposite wall", "share of steps");
    (curve.x.min, curve.x.max, curve.y.min, curve.dots) = (Some(low), Some(high), Some(0.0), true);
    if landings.is_empty() {
        return curve;
    }
    let mut counts = [0usize; LANDING_BINS];
    let shown = landings.iter().filter(|&&at| at <= high);
    for landing in shown.clone() {
        let bin = ((landing - low) / width).floor().clamp(0.0, (LANDING_BINS - 1) as f64);
        counts[bin as usize] += 1;
    }
    let share = |count: usize| count as f64 / landings.len() as f64;
    let center = |bin: usize| low + (bin as f64 + 0.5) * width;
    curve.points = (0..LANDING_BINS).map(|bin| (center(bin), share(counts[bin]))).collect();
    curve.omitted = share(landings.len() - shown.count());
    curve
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn many_epochs_have_a_curve_and_few_figures() {
        let rows = (1..=60).map(|step| fixture::row(step, step.into(), fixture::segment(false, 0.0)));
        let rows =
            rows.chain((1..=60).map(|step| fixture::row(step, 60 + u64::from(step), fixture::noise(0.1))));
        let run = fixture::run("mlp", rows);
        let names: Vec<String> = figures(&run).iter().map(|figure| figure.name().to_owned()).collect();
        let epochs = [1, 12, 24, 36, 48, 60];
        assert_eq!(names, epochs.map(|epoch| format!("interpolation-epoch-{epoch}")));
        let floors: Vec<Curve> =
            curves(&run).into_iter().filter(|curve| curve.name == "valley_floor").collect();
        assert_eq!((floors.len(), floors[0].points[0], floors[1].points[59]), (2, (1.0, 2.0), (60.0, 1.5)));
    }

    #[test]
    fn the_floor_is_split_where_it_turns() {
        let floor = [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 1.0), (4.0, 2.0)];
        let lines = floor_moves(&floor);
        let found: Vec<(usize, bool, usize)> =
            lines.iter().map(|line| (line.number, line.name.is_some(), line.points.len())).collect();
        assert_eq!(found, [(1, true, 3), (2, true, 2), (1, false, 2)]);
    }

    #[test]
    fn landings_beyond_the_axis_are_not_counted_at_its_end() {
        let curve = landing_shares(&[-0.95, -0.95, 2.95, 3.5, 40.0]);
        assert_eq!((curve.points[0].1, curve.points[LANDING_BINS - 1].1), (0.4, 0.2));
        assert_eq!((curve.omitted, curve.x.max), (0.4, Some(3.0)));
        assert!(landing_shares(&[]).points.is_empty());
    }

    #[test]
    fn histograms_count_by_factors() {
        let curve = histogram("h", "H", "x", &[1.1, 1.2, 20.0, 0.0, f64::NAN]);
        let counts: Vec<f64> = curve.points.iter().map(|point| point.1).collect();
        assert_eq!(counts, [0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(curve.points[1].0 > 1.0 && curve.points[1].0 < 1.8);
    }
}
