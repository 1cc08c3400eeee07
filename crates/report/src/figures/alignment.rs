//! gᵀHg / gᵀg against the batch size (paper, Figures 5 and 6).

use std::collections::BTreeMap;

use walk_record::{AlignmentRow, Row};

use super::chart::{Chart, Series};
use super::{Figure, Run, data, name_of};

/// One figure per run: mean over batches and a band of one deviation, a line per measurement.
pub(super) fn figures(runs: &[Run<'_>]) -> Vec<Figure> {
    let each = runs.iter().filter_map(|run| {
        let mut steps: BTreeMap<u64, Vec<&AlignmentRow>> = BTreeMap::new();
        for row in run.rows {
            if let Row::Alignment(row) = row {
                steps.entry(row.step).or_default().push(row);
            }
        }
        if steps.is_empty() {
            return None;
        }
        let mut chart =
            Chart::new(format!("{}: gradients and the Hessian", run.label), "batch size", "g'Hg / g'g");
        chart.x.log = true;
        for (index, rows) in steps.values_mut().enumerate() {
            rows.sort_by_key(|row| row.batch_size);
            let points = rows.iter().map(|row| (row.batch_size as f64, row.mean)).collect();
            let band = rows.iter().map(|row| (row.mean - row.deviation, row.mean + row.deviation)).collect();
            let name = format!("epoch {} (band: one deviation)", rows[0].epoch);
            chart.series.push(Series { band, dots: true, ..Series::new(index, name, points) });
        }
        let cells = steps.values().flatten().map(|row| {
            let numbers = [row.mean, row.deviation, row.standard_error, row.ratio_of_means];
            let [predicted, error] =
                row.predicted.map_or([String::new(), String::new()], |p| p.map(|x| x.to_string()));
            let mut cells = vec![row.epoch.to_string(), row.step.to_string(), row.batch_size.to_string()];
            cells.extend(numbers.map(|x| x.to_string()));
            cells.extend([predicted, error, row.batches.to_string()]);
            cells
        });
        let header = [
            "epoch",
            "step",
            "batch_size",
            "mean",
            "deviation",
            "standard_error",
            "ratio_of_means",
            "predicted",
            "predicted_error",
            "batches",
        ];
        Some(Figure { name: name_of("alignment", run, runs), chart, data: data(&header, cells) })
    });
    each.collect()
}
