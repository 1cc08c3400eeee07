//! The Hessian's spectrum: its largest eigenvalues over the run, and its density.

use walk_record::{Density, Row, SpectrumRow};

use super::chart::{Chart, Rule, Series};
use super::{Figure, Run, data, name_of};

/// Points of a density's curve.
const POINTS: usize = 300;

/// Per run: the largest eigenvalues where they were measured more than once, with 2/η; the last density.
pub(super) fn figures(runs: &[Run<'_>]) -> Vec<Figure> {
    let each = runs.iter().flat_map(|run| {
        let rows =
            run.rows.iter().filter_map(|row| if let Row::Spectrum(row) = row { Some(row) } else { None });
        let rows: Vec<&SpectrumRow> = rows.collect();
        let name = |what: &str| name_of(what, run, runs);
        let density = rows.iter().rev().find_map(|row| Some((row, row.density.as_ref()?)));
        [
            eigenvalues(name("eigenvalues"), run.label, &rows),
            density.map(|(row, of)| density_figure(name("density"), run.label, row, of)),
        ]
    });
    each.flatten().collect()
}

fn eigenvalues(name: String, label: &str, rows: &[&SpectrumRow]) -> Option<Figure> {
    let [first, _, ..] = rows else { return None };
    let most = rows.iter().map(|row| row.values.len()).max().unwrap_or(0);
    let mut chart = Chart::new(format!("{label}: the Hessian's spectrum"), "update", "eigenvalue");
    let lines = (0..most).map(|k| {
        let points = rows.iter().filter_map(|row| Some((row.step as f64, *row.values.get(k)?))).collect();
        Series::new(k, format!("largest, number {}", k + 1), points)
    });
    chart.series = lines.collect();
    let largest = rows.iter().flat_map(|row| &row.values).copied().fold(0.0, f64::max);
    // far above the eigenvalues the line would press them to the floor
    if first.two_over_lr < 3.0 * largest {
        chart.rules = vec![Rule { label: Some("2 / lr".into()), ..Rule::across(first.two_over_lr) }];
        chart.y.max = Some(1.1 * largest.max(first.two_over_lr));
    }
    let cells = rows.iter().flat_map(|row| {
        let each = row.values.iter().zip(&row.residuals).enumerate();
        each.map(|(k, (value, residual))| {
            vec![row.step.to_string(), (k + 1).to_string(), value.to_string(), residual.to_string()]
        })
    });
    Some(Figure { name, chart, data: data(&["step", "number", "eigenvalue", "residual"], cells) })
}

/// The quadrature's points as Gaussians of a hundredth of the range (Ghorbani et al., 2019), on a logarithmic axis.
fn density_figure(name: String, label: &str, row: &SpectrumRow, density: &Density) -> Figure {
    let nodes = || density.nodes.iter().flatten().copied();
    let (low, high) = (nodes().fold(f64::INFINITY, f64::min), nodes().fold(f64::NEG_INFINITY, f64::max));
    let sigma = ((high - low) / 100.0).max(f64::MIN_POSITIVE);
    let at = |x: f64| {
        let of_vector = |(nodes, weights): (&Vec<f64>, &Vec<f64>)| -> f64 {
            let gauss = |node: f64| {
                (-0.5 * ((x - node) / sigma).powi(2)).exp() / (sigma * std::f64::consts::TAU.sqrt())
            };
            nodes.iter().zip(weights).map(|(&node, weight)| weight * gauss(node)).sum()
        };
        density.nodes.iter().zip(&density.weights).map(of_vector).sum::<f64>() / density.nodes.len() as f64
    };
    let (from, to) = (low - 5.0 * sigma, high + 5.0 * sigma);
    let x = |i: usize| from + (to - from) * i as f64 / (POINTS - 1) as f64;
    let curve: Vec<(f64, f64)> = (0..POINTS).map(|i| (x(i), at(x(i)))).collect();
    let top = curve.iter().map(|(_, y)| *y).fold(0.0, f64::max);
    // what is far below the top is the Gaussians' tails
    let drawn = curve.iter().map(|&(x, y)| (x, y.max(1e-8 * top))).collect();
    let title = format!("{label}: spectral density, epoch {}", row.epoch);
    let mut chart = Chart::new(title, "eigenvalue", "density");
    chart.y.log = true;
    chart.series = vec![Series { points: drawn, ..Series::default() }];
    let cells = curve.iter().map(|(x, y)| vec![x.to_string(), y.to_string()]);
    Figure { name, chart, data: data(&["eigenvalue", "density"], cells) }
}
