//! The alignment of batch gradients with the Hessian, gᵀHg / gᵀg, by batch size (paper, Eq. 4, Figures 5 and 6).

use std::collections::BTreeMap;

use walk_record::rows::Alignment;
use walk_record::{Run, Stamped};

use crate::chart::{Chart, Series};
use crate::figure::{Figure, name_with_label, number};
use crate::table::{Table, cells, column, short, with_error};

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
/// ratio of means, what Eq. 3 predicts for that, and 2/η.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    let columns = [
        column("batch", |row: &Alignment| row.batch_size.to_string()),
        column("g'Hg / g'g", |row| with_error(row.mean, row.standard_error)),
        column("deviation", |row| short(row.deviation)),
        column("ratio of means", |row| with_error(row.ratio_of_means, row.ratio_of_means_error)),
        column("by Eq. 3", |row| with_error(row.predicted, row.predicted_error)),
        column("2 / lr", |row| short(row.two_over_lr)),
        column("batches", |row| row.batches.to_string()),
    ];
    vec![Table::of_rows("alignment", runs, &columns)]
}

/// One figure per run: the mean over batches and a band of one standard deviation, a line per measurement.
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
                let deviation = row.deviation.get().unwrap_or(0.0);
                series.points.push((row.batch_size as f64, mean));
                series.band.push((mean - deviation, mean + deviation));
            }
            let mut line = cells([&row.at.epoch, &row.at.step, &row.batch_size]);
            let numbers = [row.mean, row.deviation, row.standard_error, row.ratio_of_means];
            line.extend(numbers.into_iter().chain([row.predicted, row.predicted_error]).map(number));
            line.push(row.batches.to_string());
            lines.push(line);
        }
        chart.series.push(series);
    }
    let header = "epoch,step,batch_size,mean,deviation,standard_error,ratio_of_means,predicted,predicted_error,batches";
    Figure::new(name, chart, header, lines)
}
