//! The loss along a line to the current point.

use walk_record::rows::Line;
use walk_record::{Measured, Run};

use crate::table::{Table, column, short};

/// One row per run and line: where it begins, its length, loss and error at its ends, how far the loss and the error rise above
/// the mean of the ends, and whether the loss never rises along it.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    let columns = [
        column("from", |row: &Line| row.from.clone()),
        column("length", |row| short(row.length)),
        column("loss, ends", |row| ends(&row.losses)),
        column("error, ends", |row| ends(&row.errors)),
        column("loss barrier", |row| short(row.loss_barrier)),
        column("error barrier", |row| short(row.error_barrier)),
        column("monotone", |row| match row.monotone {
            Some(true) => "yes".into(),
            Some(false) => "no".into(),
            None => "-".into(),
        }),
    ];
    vec![Table::of_rows("line", runs, &columns)]
}

fn ends(values: &[Measured]) -> String {
    match values {
        [first, .., last] => format!("{} to {}", short(*first), short(*last)),
        _ => "-".into(),
    }
}
