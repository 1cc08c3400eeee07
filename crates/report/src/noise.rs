//! The noise of the loss at one point.

use walk_record::rows::{BySample, Noise, Rounding};
use walk_record::{Measured, Run};

use crate::curve::{Curve, step_values};
use crate::distinct::distinct;
use crate::table::{Cell, Table, decimals, detail, main, place, scientific};

/// One row per measurement: the standard deviation over evaluations, and the differences between f32 and f64 on some samples.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    fn of_samples(row: &Noise, cell: fn(&BySample) -> Cell) -> Cell {
        row.by_sample.as_ref().map(cell).into()
    }
    fn of_rounding(row: &Noise, cell: fn(&Rounding) -> Cell) -> Cell {
        row.rounding.as_ref().map(cell).into()
    }
    let fields = [
        place("data", "data").of(|row: &Noise| row.evaluation.name().into()),
        detail("loss", "loss").of(|row| decimals(row.mean_loss, 6)),
        main("std", "std. dev.").of(|row| scientific(row.sigma, 1)),
        main("evaluations", "evaluations").of(|row| row.evaluations.into()),
        main("by_sample", "std. dev. by sample")
            .of(|row| of_samples(row, |found| scientific(found.sigma, 1))),
        detail("freedom", "degrees of freedom by sample")
            .of(|row| of_samples(row, |found| decimals(found.degrees_of_freedom, 0))),
        detail("rounding_mean", "f32 − f64, mean")
            .of(|row| of_rounding(row, |rounding| scientific(rounding.mean, 1))),
        detail("rounding_std", "f32 − f64, std. dev.")
            .of(|row| of_rounding(row, |rounding| scientific(rounding.sigma, 1))),
        detail("rounding_samples", "samples").of(|row| of_rounding(row, |rounding| rounding.samples.into())),
    ];
    vec![Table::of_rows("noise", "Noise of the loss at one point", run, fields)]
}

/// The standard deviation by update, for each kind of evaluation.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let names = distinct(run.rows::<Noise>().map(|row| row.row.evaluation.name()));
    let several = names.len() > 1;
    let curve = |name: &str| {
        let sigma = |row: &Noise| if row.evaluation.name() == name { row.sigma } else { Measured::MISSING };
        let mut curve =
            Curve::new("noise", "Noise of the loss at one point", "update", "std. dev. of the loss");
        curve.y.log = true;
        let variant = if several { name.to_owned() } else { String::new() };
        let mut values = step_values(run, sigma);
        // a logarithmic axis has no 0
        values.retain(|found| found.value > 0.0);
        Curve { variant, dots: true, ..curve.through(&values) }
    };
    names.into_iter().map(curve).collect()
}
