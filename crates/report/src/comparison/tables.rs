//! Tables of several runs: one below the other, with the runs of a setting joined.

use walk_record::Measured;

use super::setting::Comparison;
use crate::distinct::distinct;
use crate::statistics::{deviation, mean};
use crate::table::{Cell, Column, Format, Role, Table, name, place};

/// The note on numbers in a joined table's title.
const JOINED: &str = "mean ± std. dev. over seeds";

/// The tables of each run, by setting.
pub(crate) type RunTables = Vec<Vec<Vec<Table>>>;

/// The names of the runs' tables.
pub(super) fn names(own: &RunTables) -> Vec<&str> {
    distinct(own.iter().flatten().flatten().map(|table| table.name.as_str()))
}

/// The tables of one name, by setting.
pub(super) fn named(own: &RunTables, name: &str) -> Vec<Vec<Table>> {
    let of_run = |tables: &Vec<Table>| tables.iter().find(|table| table.name == name).cloned();
    own.iter().map(|runs| runs.iter().filter_map(of_run).collect()).collect()
}

impl Comparison<'_> {
    /// The tables that `own` makes of each run, by name.
    pub(crate) fn tables(&self, own: &RunTables) -> Vec<Table> {
        let tables = names(own).into_iter().map(|name| self.stacked(&named(own, name)));
        tables.filter(|table| !table.rows.is_empty()).collect()
    }

    /// A table of every setting's rows, joined for settings with several runs.
    fn stacked(&self, of_settings: &[Vec<Table>]) -> Table {
        let tables = || of_settings.iter().flatten();
        let first = tables().next().expect("a table has a name because some run has it");
        let mut columns: Vec<Column> = vec![];
        for column in tables().flat_map(|table| &table.columns) {
            if !columns.iter().any(|known| known.key == column.key) {
                columns.push(column.clone());
            }
        }
        let mut names = self.names();
        let needs_name = first.across && names.is_empty();
        if needs_name {
            names.push(name("network", "network"));
        }
        let is_joined = self.is_joined();
        let mut rows: Vec<Vec<Cell>> = vec![];
        for (setting, tables) in self.settings.iter().zip(of_settings) {
            let mut own: Vec<Cell> = setting.cells().collect();
            if needs_name {
                own.push(setting.label.as_str().into());
            }
            for (seeds, mut cells) in joined(&columns, tables) {
                if is_joined {
                    cells.iter_mut().for_each(without_error);
                }
                let seeds = is_joined.then_some(Cell::Count(seeds));
                rows.push(own.iter().cloned().chain(seeds).chain(cells).collect());
            }
        }
        names.extend(is_joined.then(|| place("seeds", "seeds")));
        // the number of seeds is not a separate place if places run across
        if first.across {
            names.iter_mut().for_each(|column| column.role = Role::Name);
        }
        let is_share = |cell: &Cell| matches!(cell, Cell::Share { .. });
        let has_shares = rows.iter().flatten().any(is_share);
        let title = match (is_joined, first.across, has_shares) {
            (false, ..) => first.title.clone(),
            (true, true, _) => format!("{}, summed over seeds", first.title),
            (true, false, true) => format!("{} ({JOINED}; counts are summed)", first.title),
            (true, false, false) => format!("{} ({JOINED})", first.title),
        };
        let columns = names.into_iter().chain(columns);
        Table { across: first.across, ..Table::new(&first.name, title, columns, rows) }
    }

    /// The columns that identify the setting of a row.
    pub(crate) fn names(&self) -> Vec<Column> {
        self.keys.iter().map(|key| Column::new(key.snake.clone(), key.title.clone(), Role::Name)).collect()
    }
}

/// The tables' rows under `columns`, joined by place, each with the number of runs that have it.
fn joined(columns: &[Column], tables: &[Table]) -> Vec<(usize, Vec<Cell>)> {
    let is_place = |column: &Column| column.role == Role::Place;
    let mut found: Vec<(Vec<Cell>, Vec<Vec<Cell>>)> = vec![];
    for table in tables {
        let place_of =
            columns.iter().map(|column| table.columns.iter().position(|own| own.key == column.key));
        let place_of: Vec<Option<usize>> = place_of.collect();
        for row in &table.rows {
            let cell = |index: &Option<usize>| index.map_or(Cell::Missing, |index| row[index].clone());
            let cells: Vec<Cell> = place_of.iter().map(cell).collect();
            let at = columns.iter().zip(&cells).filter(|(column, _)| is_place(column));
            let at: Vec<Cell> = at.map(|(_, cell)| cell.clone()).collect();
            match found.iter_mut().find(|(known, rows)| *known == at && rows.len() < tables.len()) {
                Some((_, rows)) if tables.len() > 1 => rows.push(cells),
                _ => found.push((at, vec![cells])),
            }
        }
    }
    let join = |(_, rows): (Vec<Cell>, Vec<Vec<Cell>>)| {
        let cells = (0..columns.len()).map(|column| {
            let cells: Vec<&Cell> = rows.iter().map(|row| &row[column]).collect();
            if tables.len() == 1 || is_place(&columns[column]) {
                cells[0].clone()
            } else {
                join_cells(&cells)
            }
        });
        (rows.len(), cells.collect())
    };
    found.into_iter().map(join).collect()
}

/// Joins cells of several runs: counts are summed; for numbers that differ, the result is the mean and the standard
/// deviation.
fn join_cells(cells: &[&Cell]) -> Cell {
    if cells.windows(2).all(|pair| pair[0] == pair[1]) && !matches!(cells[0], Cell::Share { .. }) {
        return cells[0].clone();
    }
    let known: Vec<&Cell> = cells.iter().copied().filter(|cell| **cell != Cell::Missing).collect();
    let Some(first) = known.first() else { return Cell::Missing };
    let all = cells.len();
    let format = known.iter().find_map(|cell| match cell {
        Cell::Number { format, .. } | Cell::Estimate { format, .. } | Cell::Span { format, .. } => {
            Some(*format)
        }
        _ => None,
    });
    match first {
        Cell::Text(_) => "differs".into(),
        Cell::Share { .. } => sum(&known),
        Cell::List(_) => {
            let lists = known.iter().map(|cell| match cell {
                Cell::List(values) => values.as_slice(),
                _ => &[],
            });
            let lists: Vec<&[Measured]> = lists.collect();
            let longest = lists.iter().map(|values| values.len()).max().unwrap_or(0);
            let spread = |index: usize| {
                let values = lists.iter().filter_map(|values| values.get(index)?.get()).collect::<Vec<f64>>();
                [mean(&values), deviation(&values)]
            };
            Cell::Spreads((0..longest).map(spread).collect())
        }
        Cell::Span { .. } => {
            let end = |which: fn(&Cell) -> Measured| {
                mean(&known.iter().filter_map(|cell| which(cell).get()).collect::<Vec<f64>>())
            };
            let first =
                end(|cell| if let Cell::Span { first, .. } = cell { *first } else { Measured::MISSING });
            let last = end(|cell| if let Cell::Span { last, .. } = cell { *last } else { Measured::MISSING });
            Cell::Span { first, last, format: format.unwrap_or(Format::Short) }
        }
        _ => spread(&known.iter().filter_map(|cell| cell.value()).collect::<Vec<f64>>(), all, format),
    }
}

/// Drops an error that is not over seeds.
fn without_error(cell: &mut Cell) {
    if let Cell::Estimate { value, format, .. } = *cell {
        *cell = Cell::Number { value, format };
    }
}

/// The sum of counts.
fn sum(cells: &[&Cell]) -> Cell {
    let (mut all, mut out_of, mut passed, mut is_tested) = (0, 0, 0, true);
    for cell in cells {
        if let Cell::Share { count, of, tested } = cell {
            all += count;
            out_of += of;
            passed += tested.unwrap_or(0);
            is_tested &= tested.is_some();
        }
    }
    Cell::Share { count: all, of: out_of, tested: is_tested.then_some(passed) }
}

/// The mean and the standard deviation of the values that are known of `all` runs.
pub(super) fn spread(values: &[f64], all: usize, format: Option<Format>) -> Cell {
    if values.is_empty() {
        return Cell::Missing;
    }
    Cell::Spread {
        mean: mean(values),
        deviation: deviation(values),
        format: format.unwrap_or(Format::Short),
        values: (values.len() < all).then_some(values.len()),
    }
}

#[cfg(test)]
mod tests {
    use walk_record::{Run, measured};

    use super::*;
    use crate::fixture::swept;
    use crate::table::{Extent, estimate, main, share, short};

    fn joined_tables(runs: &[Run], of_run: impl Fn(&Run) -> Vec<Table>) -> Vec<Table> {
        let comparison = Comparison::new(runs);
        comparison.tables(&comparison.by_setting(of_run))
    }

    #[test]
    fn seeds_are_joined_row_by_row() {
        let runs = swept(&[
            &[("optim.lr", "0.1"), ("seed", "1")],
            &[("optim.lr", "0.1"), ("seed", "3")],
            &[("optim.lr", "0.2"), ("seed", "1")],
        ]);
        let table = |run: &Run| {
            let seed: f64 = run.value("seed").unwrap().to_string().parse().unwrap();
            let row = |epoch: usize| {
                let value = seed * epoch as f64;
                let list = Cell::List(measured(&[value, f64::NAN]));
                vec![Cell::Count(epoch), short(value), estimate(value, 9.0), share(epoch, 10), list]
            };
            // the second seed stopped early
            let rows = (1..=if seed > 2.0 { 1 } else { 2 }).map(row);
            let columns =
                [place("epoch", "epoch"), main("x", "x"), main("y", "y"), main("n", "n"), main("l", "l")];
            vec![Table::new("t", "T", columns, rows)]
        };
        let tables = joined_tables(&runs, table);
        assert_eq!(tables[0].title, "T (mean ± std. dev. over seeds; counts are summed)");
        let expected = [
            ["0.1", "2", "1", "2.0 ± 1.4", "2.0 ± 1.4", "2 / 20", "2.0 ± 1.4, -"],
            ["0.1", "1", "2", "2.000", "2.000", "2 / 10", "2.000, -"],
            ["0.2", "1", "1", "1.000", "1.000", "1 / 10", "1.000, -"],
            ["0.2", "1", "2", "2.000", "2.000", "2 / 10", "2.000, -"],
        ];
        assert_eq!(tables[0].texts(), expected);
        assert!(tables[0].boxed(None, Extent::Main).contains("│ lr  │"));
        // a single run needs no labels
        let tables = joined_tables(&runs[..1], table);
        assert_eq!(tables[0].texts()[0], ["1", "1.000", "1.0 ± 9.0", "1 / 10", "1.000, -"]);
    }

    #[test]
    fn a_number_that_some_seeds_lack_says_how_many_have_it() {
        let cells = [short(1.0), short(f64::NAN), short(2.0)];
        let joined = join_cells(&cells.each_ref());
        assert_eq!(joined.text(), "1.50 ± 0.71 (2)");
        assert_eq!(join_cells(&[&"a".into(), &"b".into()]), "differs".into());
        assert_eq!(join_cells(&[&Cell::Missing, &Cell::Missing]), Cell::Missing);
    }
}
