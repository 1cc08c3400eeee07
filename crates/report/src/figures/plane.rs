//! The loss on a plane (Li et al., 2018).

use walk_record::{PlaneRow, Row};

use super::chart::{Chart, Levels, Series, Stroke};
use super::{Figure, Run, data, name_of};

/// One figure per run and measured plane: levels of the loss, evenly spaced in its logarithm, and the trajectory.
pub(super) fn figures(runs: &[Run<'_>]) -> Vec<Figure> {
    let each = runs.iter().flat_map(|run| {
        let planes =
            run.rows.iter().filter_map(|row| if let Row::Plane(row) = row { Some(row) } else { None });
        planes.map(move |row| {
            figure(format!("{}-step-{}", name_of("plane", run, runs), row.step), run.label, row)
        })
    });
    each.collect()
}

fn figure(name: String, label: &str, row: &PlaneRow) -> Figure {
    let axis = |index: usize| match row.explained {
        Some(explained) => format!("component {} ({:.0}% of the walk)", index + 1, 100.0 * explained[index]),
        None => format!("random direction {}", index + 1),
    };
    let title = format!("{label}: the loss around update {}", row.step);
    let mut chart = Chart::new(title, &axis(0), &axis(1));
    let values = row.losses.iter().map(|row| row.iter().map(|loss| loss.log10()).collect()).collect();
    chart.levels = Some(Levels { name: "log10 loss".into(), x: row.x.clone(), y: row.y.clone(), values });
    if !row.trajectory.is_empty() {
        let points = row.trajectory.iter().map(|&[x, y]| (x, y)).collect();
        let (number, stroke, dots) = (1, Stroke::Solid, true);
        chart.series.push(Series { number, stroke, dots, points, ..Series::default() });
    }
    let cells = row.y.iter().zip(&row.losses).flat_map(|(y, losses)| {
        row.x.iter().zip(losses).map(move |(x, loss)| vec![x.to_string(), y.to_string(), loss.to_string()])
    });
    Figure { name, chart, data: data(&["x", "y", "loss"], cells) }
}
