//! A table as its columns and rows.

use std::borrow::Cow;

use walk_record::Run;
use walk_record::rows::RowKind;

use super::cell::Cell;
use super::column::{Column, Field, Role, place};

/// Cells under named columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The name of its files, without their extensions.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each with a cell per column.
    pub rows: Vec<Vec<Cell>>,
    /// Whether readers see one column of results per place, as in the paper's Table 1.
    pub across: bool,
}

impl Table {
    /// A table of rows, each with a cell per column.
    pub fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        columns: impl IntoIterator<Item = Column>,
        rows: impl IntoIterator<Item = Vec<Cell>>,
    ) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            columns: columns.into_iter().collect(),
            rows: rows.into_iter().collect(),
            across: false,
        }
    }

    /// A table with one line for every row of a kind that the run recorded: where it was recorded, followed by `fields`.
    pub(crate) fn of_rows<T: RowKind>(
        name: &str,
        title: &str,
        run: &Run,
        fields: impl IntoIterator<Item = Field<T>>,
    ) -> Self {
        let fields: Vec<Field<T>> = fields.into_iter().collect();
        let places = [place("epoch", "epoch"), place("step", "step")];
        let rows = run.rows::<T>().map(|row| {
            let place = [Cell::Count(row.at.epoch as usize), Cell::Count(row.at.step as usize)];
            place.into_iter().chain(fields.iter().map(|field| (field.cell)(&row))).collect()
        });
        let rows: Vec<Vec<Cell>> = rows.collect();
        Self::new(name, title, places.into_iter().chain(fields.into_iter().map(|field| field.column)), rows)
    }

    /// The table shown to readers: with one column per place if it is shown across.
    pub(crate) fn shown(&self) -> Cow<'_, Self> {
        if self.across { Cow::Owned(self.pivoted()) } else { Cow::Borrowed(self) }
    }

    /// One row per name, with the result for each place.
    fn pivoted(&self) -> Self {
        let with_role = |role: Role| {
            (0..self.columns.len()).filter(|&index| self.columns[index].role == role).collect::<Vec<usize>>()
        };
        let (names, places, values) =
            (with_role(Role::Name), with_role(Role::Place), with_role(Role::Result));
        let (Some(&place), Some(&value)) = (places.first(), values.first()) else { return self.clone() };
        let name = |row: &[Cell]| names.iter().map(|&index| row[index].clone()).collect::<Vec<Cell>>();
        let mut found: Vec<&Cell> = vec![];
        let mut rows: Vec<Vec<Cell>> = vec![];
        for row in &self.rows {
            if !found.contains(&&row[place]) {
                found.push(&row[place]);
            }
            if !rows.contains(&name(row)) {
                rows.push(name(row));
            }
        }
        let number = |cell: &Cell| cell.value().unwrap_or(f64::INFINITY);
        found.sort_by(|one, other| number(one).total_cmp(&number(other)));
        for line in &mut rows {
            let own = line.clone();
            line.extend(found.iter().map(|place_found| {
                let row = self.rows.iter().find(|row| name(row) == own && &&row[place] == place_found);
                row.map_or(Cell::Missing, |row| row[value].clone())
            }));
        }
        let columns =
            names.iter().map(|&index| self.columns[index].clone()).chain(found.iter().map(|cell| {
                // on one line
                let title = format!("{}\u{a0}{}", self.columns[place].title, cell.text());
                Column::new(title.clone(), title, Role::Result)
            }));
        Self { columns: columns.collect(), rows, across: false, ..self.clone() }
    }

    /// The column titles shown to readers.
    pub(crate) fn titles(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.title.to_string()).collect()
    }

    /// The cells as text.
    pub(crate) fn texts(&self) -> Vec<Vec<String>> {
        self.rows.iter().map(|row| row.iter().map(Cell::text).collect()).collect()
    }
}
