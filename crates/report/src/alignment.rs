//! The alignment of batch gradients with the Hessian, gᵀHg / gᵀg, by batch size (paper, Eq. 4, Figures 5 and 6).

use std::collections::BTreeMap;

use walk_record::rows::{Alignment, HessianOf};
use walk_record::{Measured, Run, Stamped};

use crate::chart::{Chart, Series, Stroke};
use crate::curve::{Curve, StepValue};
use crate::figure::{Figure, columns};
use crate::table::{Cell, Table, detail, estimate, main, of_all, place, result, short};
use crate::thresholds::{PLATEAU, STABLE_BELOW, Thresholds};
use crate::training::batch_size;

/// What the probe measures.
const ALIGNMENT: &str = "gᵀHg / gᵀg";

/// The measurements of a run in order, each with the rows of one update by batch size.
pub(crate) fn measurements(run: &Run) -> Vec<Vec<Stamped<'_, Alignment>>> {
    let mut steps: BTreeMap<u64, Vec<Stamped<'_, Alignment>>> = BTreeMap::new();
    for row in run.rows::<Alignment>() {
        steps.entry(row.at.step).or_default().push(row);
    }
    steps.values_mut().for_each(|rows| rows.sort_by_key(|row| row.batch_size));
    steps.into_values().collect()
}

/// One row per measurement and batch size: mean and standard error of gᵀHg / gᵀg, its standard deviation over batches, the
/// ratio of means and its prediction by Eq. 3, the stability thresholds, and the samples used for the Hessian. Numbers for the
/// batch of all samples have no error.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    fn of_batches(row: &Alignment, value: Measured, error: Measured) -> Cell {
        if row.is_exact() { short(value) } else { estimate(value, error) }
    }
    let fields = [
        place("batch_size", "B").of(|row: &Alignment| row.batch_size.into()),
        result("alignment", ALIGNMENT).of(|row| of_batches(row, row.mean, row.standard_error)),
        detail("batch_std", "std. dev. over batches").of(|row| short(row.deviation)),
        result("ratio_of_means", "ratio of means")
            .of(|row| of_batches(row, row.ratio_of_means, row.ratio_of_means_error)),
        main("predicted", "Eq. 3 prediction").of(|row| of_batches(row, row.predicted, row.predicted_error)),
        detail("stable_below", STABLE_BELOW).of(|row| short(row.stability_threshold)),
        detail("plateau", PLATEAU).of(|row| short(row.small_batch_plateau)),
        detail("batches", "batches").of(|row| row.batches.into()),
        detail("hessian_samples", "samples of H").of(|row| match row.hessian {
            HessianOf::Full => of_all(row.hessian_samples, row.train_samples),
            HessianOf::Batch => "the batch's".into(),
        }),
    ];
    vec![Table::of_rows("alignment", "Alignment of gradients with the Hessian", run, fields)]
}

/// The batch sharpness; the alignment at the last measurement by batch size, and what Eq. 3 predicts.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let measurements = measurements(run);
    let Some(last) = measurements.last() else { return vec![] };
    let mut curves = batch_sharpness(run, &measurements);
    let by_batch_size = |variant: &str, value: fn(&Alignment) -> Measured| {
        let title = format!("Alignment of gradients with the Hessian, epoch {}", last[0].at.epoch);
        let mut curve = Curve::new("alignment_by_batch_size", title, "batch size", ALIGNMENT);
        curve.x.log = true;
        let points = last.iter().filter_map(|row| Some((row.batch_size as f64, value(row).get()?))).collect();
        Curve { variant: variant.into(), points, levels: thresholds(&last[0]).levels(), dots: true, ..curve }
    };
    curves.push(by_batch_size("measured", |row| row.mean));
    curves.push(by_batch_size("Eq. 3 prediction", |row| row.predicted));
    curves
}

/// The ratio of means with each batch's own Hessian, the batch sharpness (Andreyev & Beneventano, 2024), against the update where it
/// was measured more than once, at the batch size of training if that is among those measured.
fn batch_sharpness(run: &Run, measurements: &[Vec<Stamped<'_, Alignment>>]) -> Vec<Curve> {
    let own_hessian = |rows: &Vec<Stamped<'_, Alignment>>| rows[0].hessian == HessianOf::Batch;
    let measurements: Vec<_> = measurements.iter().filter(|rows| own_hessian(rows)).collect();
    let [_, .., last] = measurements.as_slice() else { return vec![] };
    let own = batch_size(run);
    let has_own = last.iter().any(|row| row.batch_size == own);
    let by_step: Vec<(u64, Thresholds)> =
        measurements.iter().map(|rows| (rows[0].at.step, thresholds(&rows[0]))).collect();
    let mut curves = vec![];
    for row in last.iter().filter(|row| !has_own || row.batch_size == own) {
        let values = measurements.iter().filter_map(|rows| {
            let found = rows.iter().find(|other| other.batch_size == row.batch_size)?;
            Some(StepValue { step: found.at.step, value: found.ratio_of_means.get()? })
        });
        let values: Vec<StepValue> = values.collect();
        let curve = Curve::new("batch_sharpness", "Batch sharpness", "update", "E[gᵀH_B g] / E[gᵀg]");
        let variant = format!("B = {}", row.batch_size);
        let curve = Curve { variant, dots: true, ..curve.through(&values) };
        // the thresholds are the same for all batch sizes
        if curves.is_empty() {
            curves.extend(Thresholds::beside(curve, &by_step));
        } else {
            curves.push(curve);
        }
    }
    curves
}

fn thresholds(row: &Alignment) -> Thresholds {
    Thresholds { stability: row.stability_threshold, small_batch: row.small_batch_plateau }
}

/// The mean over batches with a band of one standard deviation, one line per measurement; the prediction of Eq. 3, and the
/// stability thresholds.
pub(crate) fn figures(run: &Run) -> Vec<Figure> {
    let mut chart = Chart::new("Alignment of gradients with the Hessian", "batch size", ALIGNMENT);
    chart.x.log = true;
    chart.note = "band: 1 std. dev. over batches; dashed: Eq. 3 prediction".into();
    let mut lines = vec![];
    for (index, rows) in measurements(run).iter().enumerate() {
        let legend = format!("epoch {}", rows[0].at.epoch);
        let mut series = Series { dots: true, stroke: Stroke::Solid, ..Series::new(index, legend, vec![]) };
        let mut predicted = Series { number: index, stroke: Stroke::Dashed, ..Series::default() };
        for row in rows {
            let size = row.batch_size as f64;
            if let Some(mean) = row.mean.get() {
                series.points.push((size, mean));
                // a single batch has no band
                let reach = row.deviation.get().unwrap_or(0.0);
                series.band.push((mean - reach, mean + reach));
            }
            predicted.points.extend(row.predicted.get().map(|value| (size, value)));
            let places = [row.at.epoch as usize, row.at.step as usize, row.batch_size].map(Cell::from);
            let numbers = [row.mean, row.deviation, row.standard_error, row.ratio_of_means];
            let numbers = numbers.into_iter().chain([row.predicted, row.predicted_error]).map(short);
            lines.push(places.into_iter().chain(numbers).chain([row.batches.into()]).collect());
        }
        chart.series.push(series);
        if predicted.points.len() > 1 {
            chart.series.push(predicted);
        }
    }
    if let Some(first) = run.rows::<Alignment>().next() {
        chart.rules = thresholds(&first).rules(chart.largest());
    }
    let names = [
        "epoch",
        "step",
        "batch_size",
        "mean",
        "std",
        "standard_error",
        "ratio_of_means",
        "predicted",
        "predicted_error",
        "batches",
    ];
    vec![Figure::new("alignment", chart, columns(names), lines)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn batch_sharpness_is_that_of_the_batch_s_own_hessian() {
        let names = |hessian: HessianOf| -> Vec<String> {
            let row = Alignment {
                hessian,
                ratio_of_means: 4.0.into(),
                ..fixture::alignment(20, 3.0, Measured::MISSING)
            };
            let run = fixture::run("mlp", [1, 2].map(|step| fixture::row(1, step, row.clone())));
            curves(&run).into_iter().map(|curve| curve.name).collect()
        };
        assert_eq!(names(HessianOf::Full), ["alignment_by_batch_size"; 2]);
        assert!(names(HessianOf::Batch).contains(&"batch_sharpness".to_owned()));
    }
}
