//! Final results: the numbers in the last rows of each run's tables, by which settings are compared.

use super::tables::{RunTables, named, names};
use crate::table::{Cell, Role, Table};

/// A number that every setting has at the same point of its runs, the last that all of them measured.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// The machine-readable names of its table and column.
    pub(super) key: String,
    /// What it is.
    pub(super) quantity: String,
    /// What it is and where it was measured, without the epoch.
    pub(super) title: String,
    /// The last epoch that all runs measured.
    pub(super) epoch: usize,
    /// Whether it is a share of updates or samples.
    pub(super) is_share: bool,
    /// Whether its column is the first one of its table.
    pub(super) leads: bool,
    /// The values of each setting's runs.
    pub(super) values: Vec<Vec<f64>>,
}

/// The place of a row: its epoch (the last one if it covers several) and the other cells that say where it was measured.
type Place = (usize, Vec<(String, String)>);

/// The numbers that at least two settings have, in table order.
pub(super) fn endpoints(own: &RunTables) -> Vec<Endpoint> {
    names(own).into_iter().flat_map(|name| of_table(name, &named(own, name))).collect()
}

/// The results of one table, at each place of the last epoch that all runs have.
fn of_table(name: &str, tables: &[Vec<Table>]) -> Vec<Endpoint> {
    let last = |table: &Table| table.rows.iter().filter_map(|row| Some(place(table, row)?.0)).max();
    let Some(epoch) = tables.iter().flatten().filter_map(last).min() else { return vec![] };
    let Some(first) = tables.iter().flatten().next() else { return vec![] };
    let places = first.rows.iter().filter_map(|row| place(first, row).filter(|place| place.0 == epoch));
    let places: Vec<Place> = places.collect();
    let results = (0..first.columns.len()).filter(|&index| first.columns[index].role == Role::Result);
    let results: Vec<usize> = results.collect();
    let mut endpoints = vec![];
    for at in &places {
        for (order, &index) in results.iter().enumerate() {
            let column = &first.columns[index];
            let value = |table: &Table| {
                let index = table.columns.iter().position(|own| own.key == column.key)?;
                let row = table.rows.iter().find(|row| place(table, row).as_ref() == Some(at))?;
                row[index].value()
            };
            let values: Vec<Vec<f64>> =
                tables.iter().map(|runs| runs.iter().filter_map(value).collect()).collect();
            if values.iter().filter(|values| !values.is_empty()).count() > 1 {
                let is_list = first.rows.iter().any(|row| matches!(row[index], Cell::List(_)));
                let first_of = if is_list { " (first)" } else { "" };
                let others: String =
                    at.1.iter().map(|(title, value)| format!(", {title} = {value}")).collect();
                let quantity = format!("{}{first_of}", column.title);
                endpoints.push(Endpoint {
                    key: format!("{name}-{}", column.key),
                    title: format!("{quantity}{others}"),
                    quantity,
                    epoch,
                    is_share: first.rows.iter().any(|row| matches!(row[index], Cell::Share { .. })),
                    leads: order == 0,
                    values,
                });
            }
        }
    }
    endpoints
}

/// Where a row was recorded; `None` for a table without epochs. The update follows from the epoch.
fn place(table: &Table, row: &[Cell]) -> Option<Place> {
    let places = table.columns.iter().zip(row).filter(|(column, _)| column.role == Role::Place);
    let (mut epoch, mut others) = (None, vec![]);
    for (column, cell) in places {
        match &*column.key {
            "epoch" => epoch = cell.text().rsplit('-').next().and_then(|last| last.parse().ok()),
            "step" => {}
            _ => others.push((column.title.to_string(), cell.text())),
        }
    }
    Some((epoch?, others))
}
