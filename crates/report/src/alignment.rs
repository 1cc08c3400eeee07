//! The alignment of batch gradients with the Hessian, gᵀHg / gᵀg, by batch size (paper, Eq. 4, Figures 5 and 6).

use std::collections::BTreeMap;

use walk_record::rows::{Alignment, HessianOf};
use walk_record::{Measured, Run, Stamped};

use crate::chart::{Chart, Series};
use crate::figure::{Figure, name_with_label, number};
use crate::table::{Table, cells, column, of_all, short, with_error};
use crate::thresholds::{PLATEAU, STABLE_BELOW, Thresholds};

/// The measurements of a run, in order: the rows of one update each, by batch size.
pub(crate) fn measurements(run: &Run) -> Vec<Vec<Stamped<'_, Alignment>>> {
    let mut steps: BTreeMap<u64, Vec<Stamped<'_, Alignment>>> = BTreeMap::new();
    for row in run.rows::<Alignment>() {
        steps.entry(row.at.step).or_default().push(row);
    }
    steps.values_mut().for_each(|rows| rows.sort_by_key(|row| row.batch_size));
    steps.into_values().collect()
}

/// One row per run, measurement and batch size: mean and standard error of gᵀHg / gᵀg, its standard deviation over batches, the
/// ratio of means, what Eq. 3 predicts for that, the thresholds of stability, and the samples behind the Hessian. Numbers of the
/// batch of all samples have no error.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    fn estimate(row: &Alignment, value: Measured, error: Measured) -> String {
        if row.is_exact() { short(value) } else { with_error(value, error) }
    }
    let columns = [
        column("batch", |row: &Alignment| row.batch_size.to_string()),
        column("g'Hg / g'g", |row| estimate(row, row.mean, row.standard_error)),
        column("deviation", |row| short(row.deviation)),
        column("ratio of means", |row| estimate(row, row.ratio_of_means, row.ratio_of_means_error)),
        column("by Eq. 3", |row| estimate(row, row.predicted, row.predicted_error)),
        column(STABLE_BELOW, |row| short(row.stability_threshold)),
        column(PLATEAU, |row| short(row.small_batch_plateau)),
        column("batches", |row| row.batches.to_string()),
        column("samples of H", samples),
    ];
    vec![Table::of_rows("alignment", runs, &columns)]
}

/// The samples behind the Hessian.
fn samples(row: &Alignment) -> String {
    match row.hessian {
        HessianOf::Full => of_all(row.hessian_samples, row.train_samples),
        HessianOf::Batch => "the batch's".into(),
    }
}

/// One figure per run, with the thresholds of stability: the mean over batches and a band of one standard deviation, a line per measurement.
pub(crate) fn figures(runs: &[Run]) -> Vec<Figure> {
    runs.iter().map(|run| figure(name_with_label("alignment", run, runs), run)).collect()
}

fn figure(name: String, run: &Run) -> Figure {
    let title = format!("{}: gradients and the Hessian", run.label);
    let mut chart = Chart::new(title, "batch size", "g'Hg / g'g");
    chart.x.log = true;
    let mut lines = vec![];
    for (index, rows) in measurements(run).iter().enumerate() {
        let legend = format!("epoch {} (band: one deviation)", rows[0].at.epoch);
        let mut series = Series { dots: true, ..Series::new(index, legend, vec![]) };
        for row in rows {
            if let Some(mean) = row.mean.get() {
                series.points.push((row.batch_size as f64, mean));
                // of one batch there is no band
                let reach = row.deviation.get().unwrap_or(0.0);
                series.band.push((mean - reach, mean + reach));
            }
            let mut line = cells([&row.at.epoch, &row.at.step, &row.batch_size]);
            let numbers = [row.mean, row.deviation, row.standard_error, row.ratio_of_means];
            line.extend(numbers.into_iter().chain([row.predicted, row.predicted_error]).map(number));
            line.push(row.batches.to_string());
            lines.push(line);
        }
        chart.series.push(series);
    }
    if let Some(first) = run.rows::<Alignment>().next() {
        let largest = chart.series.iter().flat_map(|series| &series.band).map(|(_, upper)| *upper);
        let largest = largest.fold(0.0, f64::max);
        let (stability, small_batch) = (first.stability_threshold, first.small_batch_plateau);
        chart.rules = Thresholds { stability, small_batch }.rules(largest);
    }
    let header = "epoch,step,batch_size,mean,deviation,standard_error,ratio_of_means,predicted,predicted_error,batches";
    Figure::new(name, chart, header, lines)
}
