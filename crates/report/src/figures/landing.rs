//! Where steps land on the parabola through their losses (Cockpit, Schneider et al., 2021).

use walk_record::Row;

use super::chart::{Chart, Rule, Series};
use super::{Figure, Run, data};

/// Landing places are drawn from here to there; those outside count at the ends.
const RANGE: [f64; 2] = [-1.0, 3.0];
const BINS: usize = 20;

/// The share of steps by where they land, an outline per run: -1 at the start, 0 at the floor, 1 on the opposite wall; `None`
/// if no step has a parabola.
pub(super) fn figure(runs: &[Run<'_>]) -> Option<Figure> {
    let width = (RANGE[1] - RANGE[0]) / BINS as f64;
    let shares = |run: &Run<'_>| -> Option<Vec<f64>> {
        let mut counts = vec![0usize; BINS];
        for row in run.rows {
            if let Row::Interpolation(row) = row
                && let Some(landing) = row.landing
            {
                let bin = ((landing - RANGE[0]) / width).floor().clamp(0.0, (BINS - 1) as f64);
                counts[bin as usize] += 1;
            }
        }
        let total: usize = counts.iter().sum();
        (total > 0).then(|| counts.into_iter().map(|count| count as f64 / total as f64).collect())
    };
    let found: Vec<(&Run<'_>, Vec<f64>)> = runs.iter().filter_map(|run| Some((run, shares(run)?))).collect();
    if found.is_empty() {
        return None;
    }
    let left = |bin: usize| RANGE[0] + bin as f64 * width;
    let mut chart = Chart::new("Where steps land", "-1 start, 0 floor, 1 opposite wall", "share of steps");
    let lines = found.iter().enumerate().map(|(index, (run, shares))| {
        let outline =
            shares.iter().enumerate().flat_map(|(bin, &share)| [(left(bin), share), (left(bin + 1), share)]);
        Series::new(index, run.label, outline.collect())
    });
    chart.series = lines.collect();
    chart.y.min = Some(0.0);
    chart.rules = vec![Rule::upright(0.0)];
    let cells = found.iter().flat_map(|(run, shares)| {
        shares.iter().enumerate().map(|(bin, share)| {
            vec![run.label.to_owned(), left(bin).to_string(), left(bin + 1).to_string(), share.to_string()]
        })
    });
    Some(Figure { name: "landing".into(), chart, data: data(&["run", "from", "to", "share"], cells) })
}
