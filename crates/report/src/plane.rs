//! The loss on a plane (Li et al., 2018).

use walk_record::rows::Plane;
use walk_record::{Measured, Run, Stamped};

use crate::chart::{Chart, Levels, Series, Stroke};
use crate::figure::{Figure, columns};
use crate::table::short;

/// One figure per measured plane: level sets of the loss, evenly spaced in its logarithm, and the trajectory.
pub(crate) fn figures(run: &Run) -> Vec<Figure> {
    run.rows::<Plane>().map(figure).collect()
}

fn figure(row: Stamped<'_, Plane>) -> Figure {
    let axis = |index: usize| match row.explained.and_then(|explained| explained[index].get()) {
        Some(share) => format!("component {} ({:.0}% of the variance)", index + 1, 100.0 * share),
        None => format!(
            "{} {}",
            if row.explained.is_some() { "component" } else { "random direction" },
            index + 1
        ),
    };
    let title = format!("Loss around update {}", row.at.step);
    let mut chart = Chart::new(title, &axis(0), &axis(1));
    chart.levels = levels(row.row);
    let points: Vec<(f64, f64)> =
        row.trajectory.iter().filter_map(|[x, y]| Some((x.get()?, y.get()?))).collect();
    if !points.is_empty() {
        let (number, stroke, dots) = (1, Stroke::Solid, true);
        chart.series.push(Series { number, stroke, dots, points, ..Series::default() });
    }
    let cells = row.y.iter().zip(&row.losses).flat_map(|(&y, losses)| {
        row.x.iter().zip(losses).map(move |(&x, &loss)| vec![short(x), short(y), short(loss)])
    });
    Figure::new(format!("plane-step-{}", row.at.step), chart, columns(["x", "y", "loss"]), cells)
}

/// The logarithms of the losses, with the lowest one for a loss of 0 and the highest one for a missing loss; `None` if all
/// losses or some positions are missing, or if the losses are not a full grid.
fn levels(row: &Plane) -> Option<Levels> {
    let is_grid = row.losses.len() == row.y.len() && row.losses.iter().all(|line| line.len() == row.x.len());
    if !is_grid || row.x.len() < 2 || row.y.len() < 2 {
        return None;
    }
    let positions =
        |values: &[Measured]| values.iter().map(|value| value.get()).collect::<Option<Vec<f64>>>();
    let logarithm = |loss: &Measured| loss.get().filter(|&loss| loss > 0.0).map(f64::log10);
    let known = || row.losses.iter().flatten().filter_map(logarithm);
    let (lowest, highest) = (known().reduce(f64::min)?, known().reduce(f64::max)?);
    // a loss is missing where it overflows
    let beyond = |loss: &Measured| if loss.get().is_some() { lowest } else { highest };
    let level = |loss: &Measured| logarithm(loss).unwrap_or_else(|| beyond(loss));
    let values = row.losses.iter().map(|losses| losses.iter().map(level).collect()).collect();
    Some(Levels { name: "log₁₀ loss".into(), x: positions(&row.x)?, y: positions(&row.y)?, values })
}
