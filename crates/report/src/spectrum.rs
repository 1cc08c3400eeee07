//! The Hessian's spectrum: its largest eigenvalues, and its density.

use walk_record::rows::{Density, Spectrum};
use walk_record::{Measured, Run, Stamped};

use crate::chart::{Chart, Rule, Series};
use crate::figure::{Figure, name_with_label, number};
use crate::table::{Table, cells, column, short, with_error};

/// Points of a density's curve.
const POINTS: usize = 300;

/// One row per run and measurement: the largest eigenvalues with the largest of their residuals, the smallest, the share of the
/// gradient in the span of the largest ones' eigenvectors, the trace, and 2/η.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    fn values(row: &Spectrum) -> String {
        row.values.iter().map(|&value| short(value)).collect::<Vec<String>>().join(" ")
    }
    let columns = [
        column("largest eigenvalues", values),
        column("residual, at most", |row| short(largest(&row.residuals))),
        column("smallest", |row| short(row.smallest)),
        column("share of |g|^2", |row| format!("{:.3}", row.gradient_share)),
        column("trace", |row| with_error(row.trace, row.trace_error)),
        column("2 / lr", |row| short(row.two_over_lr)),
        column("products", |row| row.products.to_string()),
    ];
    vec![Table::of_rows("spectrum", runs, &columns)]
}

/// Per run: the largest eigenvalues with 2/η, where they were measured more than once; the last density.
pub(crate) fn figures(runs: &[Run]) -> Vec<Figure> {
    let of_run = |run| {
        let name = |name: &str| name_with_label(name, run, runs);
        let density = run.rows::<Spectrum>().rev().find_map(|row| {
            let density = row.row.density.as_ref()?;
            let title = format!("{}: spectral density, epoch {}", run.label, row.at.epoch);
            density_figure(name("density"), title, density)
        });
        eigenvalues(name("eigenvalues"), run).into_iter().chain(density)
    };
    runs.iter().flat_map(of_run).collect()
}

fn eigenvalues(name: String, run: &Run) -> Option<Figure> {
    let rows: Vec<Stamped<'_, Spectrum>> = run.rows().collect();
    let [first, _, ..] = rows.as_slice() else { return None };
    let most = rows.iter().map(|row| row.values.len()).max().unwrap_or(0);
    let mut chart = Chart::new(format!("{}: the Hessian's spectrum", run.label), "update", "eigenvalue");
    let lines = (0..most).map(|k| {
        let point = |row: &Stamped<'_, Spectrum>| Some((row.at.step as f64, row.values.get(k)?.get()?));
        Series::new(k, format!("largest, number {}", k + 1), rows.iter().filter_map(point).collect())
    });
    chart.series = lines.collect();
    let largest = rows.iter().map(|row| largest(&row.values)).fold(0.0, f64::max);
    // a line far above the eigenvalues would flatten them
    if first.two_over_lr < 3.0 * largest {
        chart.rules = vec![Rule { label: Some("2 / lr".into()), ..Rule::across(first.two_over_lr) }];
        chart.y.max = Some(1.1 * largest.max(first.two_over_lr));
    }
    let lines = rows.iter().flat_map(|row| {
        row.values.iter().zip(&row.residuals).enumerate().map(|(k, (&value, &residual))| {
            cells([&row.at.step, &(k + 1), &number(value), &number(residual)])
        })
    });
    Some(Figure::new(name, chart, "step,number,eigenvalue,residual", lines))
}

/// The largest value, 0 if none is larger.
fn largest(values: &[Measured]) -> f64 {
    values.iter().filter_map(|value| value.get()).fold(0.0, f64::max)
}

/// The points of the quadrature as Gaussians whose deviation is a hundredth of the range (Ghorbani et al., 2019), on a
/// logarithmic axis.
fn density_figure(name: String, title: String, density: &Density) -> Option<Figure> {
    let points = density.nodes.iter().zip(&density.weights).flat_map(|(nodes, weights)| {
        nodes.iter().zip(weights).filter_map(|(node, weight)| Some((node.get()?, weight.get()?)))
    });
    let points: Vec<(f64, f64)> = points.collect();
    let nodes = || points.iter().map(|&(node, _)| node);
    let (low, high) = (nodes().reduce(f64::min)?, nodes().reduce(f64::max)?);
    let sigma = ((high - low) / 100.0).max(f64::MIN_POSITIVE);
    let gauss =
        |distance: f64| (-0.5 * (distance / sigma).powi(2)).exp() / (sigma * std::f64::consts::TAU.sqrt());
    let density_at = |x: f64| {
        let sum: f64 = points.iter().map(|&(node, weight)| weight * gauss(x - node)).sum();
        sum / density.nodes.len() as f64
    };
    let (from, to) = (low - 5.0 * sigma, high + 5.0 * sigma);
    let x = |i: usize| from + (to - from) * i as f64 / (POINTS - 1) as f64;
    let curve: Vec<(f64, f64)> = (0..POINTS).map(|i| (x(i), density_at(x(i)))).collect();
    let top = curve.iter().map(|(_, y)| *y).fold(0.0, f64::max);
    let mut chart = Chart::new(title, "eigenvalue", "density");
    chart.y.log = true;
    // values far below the top are tails of the Gaussians
    let drawn = curve.iter().map(|&(x, y)| (x, y.max(1e-8 * top))).collect();
    chart.series = vec![Series { points: drawn, ..Series::default() }];
    let cells = curve.iter().map(|(x, y)| vec![x.to_string(), y.to_string()]);
    Some(Figure::new(name, chart, "eigenvalue,density", cells))
}
