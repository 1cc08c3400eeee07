//! The angle between consecutive gradients (paper, Figure 7) and the distance from the start, by update.

use walk_record::Row;

use super::chart::{Chart, Rule, Series};
use super::{Figure, Run, data};

/// Cosines drawn per run at most; more are averaged over equal stretches, so that lines stay lines.
const MOST: usize = 200;

/// cos(g_t, g_{t-1}), a line per run; `None` if no run measured it.
pub(super) fn cosine(runs: &[Run<'_>]) -> Option<Figure> {
    let values = |row: &Row| match row {
        Row::Cosine(row) => row.cosine.map(|cosine| (row.step, cosine)),
        _ => None,
    };
    let y = "cosine of consecutive gradients";
    let mut figure = curves(runs, values, ("cosine", "Consecutive gradients", y))?;
    figure.chart.rules = vec![Rule::across(0.0)];
    Some(figure)
}

/// ‖θ - θ_0‖, a line per run; `None` if no run measured it.
pub(super) fn distance(runs: &[Run<'_>]) -> Option<Figure> {
    let values = |row: &Row| match row {
        Row::Distance(row) => Some((row.step, row.distance)),
        _ => None,
    };
    let mut figure = curves(runs, values, ("distance", "Distance from the start", "distance"))?;
    // a walk that grows like log t is a line
    figure.chart.x.log = true;
    Some(figure)
}

fn curves(
    runs: &[Run<'_>],
    values: impl Fn(&Row) -> Option<(u64, f64)>,
    (name, title, y): (&str, &str, &str),
) -> Option<Figure> {
    let found = runs.iter().map(|run| (run, run.rows.iter().filter_map(&values).collect::<Vec<_>>()));
    let found: Vec<(&Run<'_>, Vec<(u64, f64)>)> = found.filter(|(_, values)| !values.is_empty()).collect();
    if found.is_empty() {
        return None;
    }
    let lines = found.iter().enumerate().map(|(index, (run, values))| {
        let stretch = values.len().div_ceil(MOST);
        let points = values.chunks(stretch).map(|part| {
            let n = part.len() as f64;
            let step = part.iter().map(|(step, _)| *step as f64).sum::<f64>() / n;
            (step, part.iter().map(|(_, value)| value).sum::<f64>() / n)
        });
        let legend = match stretch {
            1 => run.label.to_owned(),
            _ => format!("{} (means of {stretch} updates)", run.label),
        };
        Series::new(index, legend, points.collect())
    });
    let mut chart = Chart::new(title, "update", y);
    chart.series = lines.collect();
    let cells = found.iter().flat_map(|(run, values)| {
        values.iter().map(|(step, value)| vec![run.label.to_owned(), step.to_string(), value.to_string()])
    });
    Some(Figure { name: name.into(), chart, data: data(&["run", "step", name], cells) })
}
