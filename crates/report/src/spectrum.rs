//! The spectrum of the Hessian and of matrices like it: largest eigenvalues, and densities.

use walk_record::rows::{Completeness, Density, Matrix, Spectrum};
use walk_record::{Measured, Run, Stamped};

use crate::chart::{Chart, Series};
use crate::curve::{Curve, StepValue};
use crate::figure::{Figure, columns, file_name};
use crate::table::{Cell, Table, decimals, detail, estimate, main, of_all, place, result, short, words};
use crate::thresholds::{PLATEAU, STABLE_BELOW, Thresholds};

/// Points of a density's curve.
const POINTS: usize = 300;

/// One row per measurement, matrix and block: the largest eigenvalues with the largest of their residuals, how many of the requested ones were
/// found, how they differ between subsets of the samples, the smallest with its residual, the share of the gradient in the span
/// of the top eigenvectors, the noise of the gradient along them, the trace, and the stability thresholds.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let fields = [
        place("matrix", "matrix").of(|row: &Spectrum| match (row.matrix, row.is_whole()) {
            (Matrix::Hessian, true) => Matrix::Hessian.text().into(),
            _ => row.subject().into(),
        }),
        result("eigenvalue", "eigenvalues, largest").of(|row| Cell::List(row.values.clone())),
        detail("residual", "largest residual").of(|row| short(largest(&row.residuals))),
        words("found", "found").of(|row| found(row).into()),
        main("samples", "samples").of(|row| of_all(row.samples, row.train_samples)),
        detail("subset_std", "std. dev. over subsets").of(|row| match &row.subsets {
            Some(subsets) => Cell::List(subsets.deviations.clone()),
            None => Cell::Missing,
        }),
        detail("subsets", "subsets")
            .of(|row| row.subsets.as_ref().map(|subsets| subsets.values.len()).into()),
        result("smallest", "smallest").of(|row| short(row.smallest)),
        detail("smallest_residual", "residual of smallest").of(|row| short(row.smallest_residual)),
        detail("gradient_share", "share of ‖g‖²").of(|row| decimals(row.gradient_share, 3)),
        detail("gradient_noise", "uᵀCu")
            .of(|row| row.gradient_noise.clone().map_or(Cell::Missing, Cell::List)),
        detail("trace", "trace").of(|row| estimate(row.trace, row.trace_error)),
        main("stable_below", STABLE_BELOW).of(|row| short(row.stability_threshold)),
        detail("plateau", PLATEAU).of(|row| short(row.small_batch_plateau)),
        detail("products", "products").of(|row| row.products.into()),
    ];
    vec![Table::of_rows("spectrum", "Largest eigenvalues", run, fields)]
}

/// A run's rows of one matrix and block, in order.
struct Subject<'a> {
    /// Empty for the whole Hessian.
    name: String,
    rows: Vec<Stamped<'a, Spectrum>>,
}

impl Subject<'_> {
    /// `name` for the whole Hessian, with the subject added for another.
    fn named(&self, name: &str) -> String {
        if self.name.is_empty() { name.into() } else { file_name(&format!("{name}-{}", self.name)) }
    }

    /// What a title says after "of".
    fn title(&self) -> String {
        match self.rows.first().map(|row| (row.matrix, row.is_whole())) {
            Some((Matrix::Hessian, false)) => format!("the Hessian, {}", self.name),
            _ if self.name.is_empty() => "the Hessian".into(),
            _ => format!("the {} matrix", self.name).replace("Hessian matrix", "Hessian"),
        }
    }
}

/// The matrices and blocks that a run measured, in order of appearance.
fn subjects(run: &Run) -> Vec<Subject<'_>> {
    let mut subjects: Vec<Subject<'_>> = vec![];
    for row in run.rows::<Spectrum>() {
        let name = row.subject();
        match subjects.iter_mut().find(|subject| subject.name == name) {
            Some(subject) => subject.rows.push(row),
            None => subjects.push(Subject { name, rows: vec![row] }),
        }
    }
    subjects
}

/// The largest eigenvalue of the whole Hessian by update.
pub(crate) fn sharpness(run: &Run) -> Vec<StepValue> {
    let rows = run.rows::<Spectrum>().filter(|row| row.is_of(Matrix::Hessian));
    rows.filter_map(|row| Some(StepValue { step: row.at.step, value: row.values.first()?.get()? })).collect()
}

/// The largest eigenvalue of the Hessian, and of Adam's preconditioned one, by update, with the stability thresholds; those of
/// other matrices and blocks together.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let of_subject = |subject: &Subject<'_>| {
        let first = &subject.rows[0];
        let largest = |row: &Stamped<'_, Spectrum>| {
            Some(StepValue { step: row.at.step, value: row.values.first()?.get()? })
        };
        let values: Vec<StepValue> = subject.rows.iter().filter_map(largest).collect();
        let curve = |name: &str, title: String| {
            let curve = Curve::new(name, title, "update", "λ₁").through(&values);
            Curve { dots: true, ..curve }
        };
        if first.is_whole() && matches!(first.matrix, Matrix::Hessian | Matrix::Preconditioned) {
            let title = format!("Largest eigenvalue of {}", subject.title());
            let by_step: Vec<(u64, Thresholds)> =
                subject.rows.iter().map(|row| (row.at.step, thresholds(row))).collect();
            return Thresholds::beside(curve(&subject.named("sharpness"), title), &by_step);
        }
        let title = "Largest eigenvalues of other matrices and blocks";
        let variant = subject.name.clone();
        vec![Curve { variant, ..curve("sharpness-of-parts", title.into()) }]
    };
    subjects(run).iter().flat_map(of_subject).collect()
}

fn thresholds(row: &Spectrum) -> Thresholds {
    Thresholds { stability: row.stability_threshold, small_batch: row.small_batch_plateau }
}

/// How many of the requested eigenvalues were found, and whether any may be missing.
fn found(row: &Spectrum) -> String {
    let known = row.values.iter().filter(|value| value.get().is_some()).count();
    let count = format!("{known} of {}", row.asked);
    match row.completeness {
        Completeness::Verified => count,
        Completeness::AllNonzero => format!("{count}, all others 0"),
        Completeness::Unverified => format!("{count}, not verified"),
        Completeness::Undefined => format!("{count}, not finite"),
    }
}

/// For each matrix and block, the largest eigenvalues with the stability thresholds, if several were measured more than once; the
/// last density.
pub(crate) fn figures(run: &Run) -> Vec<Figure> {
    let of_subject = |subject: &Subject<'_>| {
        let density = subject.rows.iter().rev().find_map(|row| {
            let title = format!("Spectral density of {}, epoch {}", subject.title(), row.at.epoch);
            density_figure(subject.named("density"), title, row.row.density.as_ref()?)
        });
        eigenvalues(subject).into_iter().chain(density).collect::<Vec<Figure>>()
    };
    subjects(run).iter().flat_map(of_subject).collect()
}

fn eigenvalues(subject: &Subject<'_>) -> Option<Figure> {
    let rows = &subject.rows;
    let [first, _, ..] = rows.as_slice() else { return None };
    let most = rows.iter().map(|row| row.values.len()).max().filter(|&most| most > 1)?;
    let title = format!("Largest eigenvalues of {}", subject.title());
    let mut chart = Chart::new(title, "update", "λ");
    chart.x.integer = true;
    let lines = (0..most).map(|k| {
        let point = |row: &Stamped<'_, Spectrum>| Some((row.at.step as f64, row.values.get(k)?.get()?));
        Series::new(k, format!("number {}", k + 1), rows.iter().filter_map(point).collect())
    });
    chart.series = lines.collect();
    let largest = rows.iter().filter_map(|row| largest(&row.values).get()).fold(0.0, f64::max);
    if rows.iter().all(|row| thresholds(row) == thresholds(first)) {
        chart.rules = thresholds(first).rules(largest);
    }
    if let Some(highest) = chart.rules.iter().map(|rule| rule.at).reduce(f64::max) {
        chart.y.max = Some(1.1 * largest.max(highest));
    }
    let lines = rows.iter().flat_map(|row| {
        row.values.iter().zip(&row.residuals).enumerate().map(|(k, (&value, &residual))| {
            vec![(row.at.step as usize).into(), (k + 1).into(), short(value), short(residual)]
        })
    });
    Some(Figure::new(
        subject.named("eigenvalues"),
        chart,
        columns(["step", "number", "eigenvalue", "residual"]),
        lines,
    ))
}

/// The largest of the values that are known.
fn largest(values: &[Measured]) -> Measured {
    values.iter().filter_map(|value| value.get()).reduce(f64::max).into()
}

/// The quadrature points as Gaussians whose standard deviation is a hundredth of the range (Ghorbani et al., 2019), on a
/// logarithmic axis.
fn density_figure(name: String, title: String, density: &Density) -> Option<Figure> {
    let points = density.nodes.iter().zip(&density.weights).flat_map(|(nodes, weights)| {
        nodes.iter().zip(weights).filter_map(|(node, weight)| Some((node.get()?, weight.get()?)))
    });
    let points: Vec<(f64, f64)> = points.collect();
    // for each vector, all values are known or none
    let is_known = |nodes: &&Vec<Measured>| nodes.iter().all(|node| node.get().is_some());
    let vectors = density.nodes.iter().filter(is_known).count() as f64;
    let nodes = || points.iter().map(|&(node, _)| node);
    let (low, high) = (nodes().reduce(f64::min)?, nodes().reduce(f64::max)?);
    if high <= low {
        // a single value has no range
        return None;
    }
    let sigma = (high - low) / 100.0;
    let gauss =
        |distance: f64| (-0.5 * (distance / sigma).powi(2)).exp() / (sigma * std::f64::consts::TAU.sqrt());
    let density_at = |x: f64| {
        let sum: f64 = points.iter().map(|&(node, weight)| weight * gauss(x - node)).sum();
        sum / vectors
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
    let cells = curve.iter().map(|&(x, y)| vec![short(x), short(y)]);
    Some(Figure::new(name, chart, columns(["eigenvalue", "density"]), cells))
}

#[cfg(test)]
mod tests {
    use walk_record::rows::{ALL_PARAMETERS, Subsets};
    use walk_record::{BatchNorm, measured};

    use super::*;
    use crate::fixture;

    fn spectrum() -> Spectrum {
        Spectrum {
            matrix: Matrix::Hessian,
            parameters: ALL_PARAMETERS.into(),
            gradient_noise: None,
            values: measured(&[8.0, 4.0]),
            residuals: measured(&[0.01, 0.02]),
            asked: 2,
            completeness: Completeness::Verified,
            smallest: (-1.0).into(),
            smallest_residual: 0.5.into(),
            products: 30,
            grad_norm_sq: 1.0.into(),
            gradient_share: Measured::MISSING,
            trace: 20.0.into(),
            trace_error: Measured::MISSING,
            density: None,
            stability_threshold: 38.0.into(),
            small_batch_plateau: 2.0.into(),
            samples: 100,
            train_samples: 100,
            subsets: None,
            batch_norm: BatchNorm::Batch,
        }
    }

    fn cells_of(row: Spectrum) -> Vec<String> {
        tables(&fixture::run("mlp", [fixture::row(1, 1, row)]))[0].texts()[0][3..].to_vec()
    }

    #[test]
    fn residuals_and_what_was_found_stand_beside_the_eigenvalues() {
        let found = cells_of(spectrum());
        let expected = [
            "8.000, 4.000",
            "0.0200",
            "2 of 2",
            "100",
            "-",
            "-",
            "-1.000",
            "0.5000",
            "-",
            "-",
            "20.000",
            "38.000",
            "2.000",
            "30",
        ];
        assert_eq!(found, expected);
        let part = Spectrum { samples: 40, completeness: Completeness::Unverified, ..spectrum() };
        assert_eq!(cells_of(part)[2..6], ["2 of 2, not verified", "40 / 100", "-", "-"]);
        let subsets = Subsets {
            values: vec![measured(&[8.0, 4.0]), measured(&[6.0, 5.0])],
            deviations: measured(&[2f64.sqrt(), 0.5f64.sqrt()]),
        };
        let few = Spectrum {
            values: measured(&[8.0]),
            samples: 40,
            subsets: Some(subsets),
            completeness: Completeness::AllNonzero,
            ..spectrum()
        };
        assert_eq!(cells_of(few)[2..6], ["1 of 2, all others 0", "40 / 100", "1.414, 0.7071", "2"]);
        let zero = Spectrum { values: vec![], residuals: vec![], ..spectrum() };
        assert_eq!(cells_of(zero)[..2], ["-", "-"]);
    }

    #[test]
    fn a_density_is_the_mean_of_the_vectors_that_have_one() {
        let density = |nodes: Vec<Vec<Measured>>| {
            let weights = nodes.iter().map(|nodes| vec![0.5.into(); nodes.len()]).collect();
            density_figure(String::new(), String::new(), &Density { nodes, weights }).unwrap().data.rows
        };
        let known = measured(&[1.0, 0.0]);
        let missing = measured(&[f64::NAN, f64::NAN]);
        assert_eq!(density(vec![known.clone(), missing]), density(vec![known]));
        let zero = Density { nodes: vec![measured(&[0.0])], weights: vec![measured(&[1.0])] };
        assert!(density_figure(String::new(), String::new(), &zero).is_none());
    }
}
