//! The loss along a line to the current point.

use walk_record::rows::Line;
use walk_record::{Measured, Run};

use crate::curve::Curve;
use crate::table::{Cell, Format, Table, detail, main, place, result, short, words};

/// One row per line: where it starts, its length, loss and error at its ends, how far the loss and the error rise above the mean
/// of the ends, and whether the loss never rises along it.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let fields = [
        place("from", "from").of(|row: &Line| row.from.clone().into()),
        detail("length", "length").of(|row| short(row.length)),
        main("loss", "loss, ends").of(|row| ends(&row.losses)),
        detail("error", "error, ends").of(|row| ends(&row.errors)),
        result("loss_barrier", "loss barrier").of(|row| short(row.loss_barrier)),
        result("error_barrier", "error barrier").of(|row| short(row.error_barrier)),
        words("monotone", "monotone")
            .of(|row| row.monotone.map(|monotone| if monotone { "yes" } else { "no" }).into()),
    ];
    vec![Table::of_rows("line", "Loss along lines to the current point", run, fields)]
}

/// The loss along the last line.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let Some(line) = run.rows::<Line>().next_back() else { return vec![] };
    let title = format!("Loss along the line to the point after update {}", line.at.step);
    let points = line.alphas.iter().zip(&line.losses).filter_map(|(&alpha, loss)| Some((alpha, loss.get()?)));
    vec![Curve { points: points.collect(), ..Curve::new("line", title, "α", "training loss") }]
}

fn ends(values: &[Measured]) -> Cell {
    match values {
        [first, .., last] => Cell::Span { first: *first, last: *last, format: Format::Short },
        _ => Cell::Missing,
    }
}
