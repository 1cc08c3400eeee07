//! Tables for the terminal: never wider than it, without broken words or silently dropped columns.

use std::borrow::Cow;

use tabled::builder::Builder;
use tabled::settings::object::{Columns, Object, Rows};
use tabled::settings::peaker::Priority;
use tabled::settings::{Alignment, Style, Width};

use super::cell::Cell;
use super::column::Role;
use super::grid::Table;

/// How much of a table is shown if it is wider than the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The columns that fit side by side, the main ones first, and of one per epoch the last; the others are named.
    Main,
    /// Everything, in several blocks.
    All,
}

/// Maximum number of rows shown with [`Extent::Main`]; beyond that, only the last epoch of each run or setting is shown.
const MAX_ROWS: usize = 12;

impl Table {
    /// The title and the cells in boxes no wider than `width`.
    pub fn boxed(&self, width: Option<usize>, extent: Extent) -> String {
        let mut table = self.shown();
        let mut omitted = vec![];
        if extent == Extent::Main && table.rows.len() > MAX_ROWS {
            let ends = table.ends();
            if ends.rows.len() < table.rows.len() {
                omitted.push("earlier epochs".to_owned());
                table = Cow::Owned(ends);
            }
        }
        let lines = Lines::new(&table);
        // each result is one of an epoch
        let across = self.across && extent == Extent::Main;
        let mut blocks = lines.blocks(width, if across { Order::LastFirst } else { Order::FirstFirst });
        let hidden = if extent == Extent::Main { blocks.split_off(1.min(blocks.len())) } else { vec![] };
        let mut text = wrap(&self.title, width.unwrap_or(usize::MAX));
        for block in &blocks {
            text.push('\n');
            text.push_str(&lines.block(block, width));
        }
        let hidden = hidden.iter().flatten().filter(|&&column| !lines.is_key(column));
        let mut hidden: Vec<usize> = hidden.copied().collect();
        hidden.sort_unstable();
        let titles: Vec<&str> = hidden.iter().map(|&column| &*table.columns[column].title).collect();
        match range(&titles).filter(|_| across) {
            Some(range) => omitted.push(range),
            None => omitted.extend(titles.into_iter().map(str::to_owned)),
        }
        if !omitted.is_empty() {
            let more = format!("not shown without --verbose: {}", omitted.join("; "));
            text.push('\n');
            text.push_str(&wrap(&more, width.unwrap_or(usize::MAX)));
        }
        text
    }

    /// The rows of the last epoch of each run or setting.
    fn ends(&self) -> Self {
        let Some(epoch) = self.columns.iter().position(|column| column.key == "epoch") else {
            return self.clone();
        };
        let names = |row: &[Cell]| {
            let names = self.columns.iter().zip(row).filter(|(column, _)| column.role == Role::Name);
            names.map(|(_, cell)| cell.clone()).collect::<Vec<Cell>>()
        };
        let is_last = |row: &&Vec<Cell>| {
            let last = self.rows.iter().rfind(|other| names(other) == names(row));
            last.is_some_and(|last| last[epoch] == row[epoch])
        };
        Self { rows: self.rows.iter().filter(is_last).cloned().collect(), ..self.clone() }
    }
}

/// Which of the columns of one kind are shown first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    FirstFirst,
    LastFirst,
}

/// The titles of columns for places, like "epoch 3", from the first to the last; `None` if there are fewer than two.
fn range(titles: &[&str]) -> Option<String> {
    let [first, .., last] = titles else { return None };
    let ((place, first), (_, last)) = (first.split_once('\u{a0}')?, last.split_once('\u{a0}')?);
    Some(format!("{place}s {first} to {last}"))
}

/// A table's texts, with the titles wrapped to the widths of the columns.
struct Lines<'a> {
    table: &'a Table,
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(table: &'a Table) -> Self {
        let rows = table.texts();
        let longest = |texts: &mut dyn Iterator<Item = &str>| texts.map(count).max().unwrap_or(0);
        let widths = (0..table.columns.len()).map(|column| {
            let cells = longest(&mut rows.iter().map(|row| row[column].as_str()));
            cells.max(longest(&mut table.columns[column].title.split(' ')))
        });
        let widths: Vec<usize> = widths.collect();
        let titles = table.columns.iter().zip(&widths);
        let titles =
            titles.map(|(column, &width)| wrap(&column.title, width).replace('\u{a0}', " ")).collect();
        Self { table, titles, rows, widths }
    }

    fn is_key(&self, column: usize) -> bool {
        matches!(self.table.columns[column].role, Role::Name | Role::Place)
    }

    /// Blocks of columns shown side by side, the main ones first; each block repeats the columns that identify a row.
    fn blocks(&self, width: Option<usize>, order: Order) -> Vec<Vec<usize>> {
        let all = 0..self.table.columns.len();
        let Some(width) = width else { return vec![all.collect()] };
        let (keys, others): (Vec<usize>, Vec<usize>) = all.partition(|&column| self.is_key(column));
        let (details, mut main): (Vec<usize>, Vec<usize>) =
            others.into_iter().partition(|&column| self.table.columns[column].role.is_optional());
        if order == Order::LastFirst {
            main.reverse();
        }
        // a box has a line and two spaces per column, and a line at its end
        let taken =
            |columns: &[usize]| 1 + columns.iter().map(|&column| self.widths[column] + 3).sum::<usize>();
        let mut blocks = vec![keys.clone()];
        for column in main.into_iter().chain(details) {
            let block = blocks.last_mut().expect("there is one from the start");
            if block.len() > keys.len() && taken(block) + self.widths[column] + 3 > width {
                blocks.push([keys.as_slice(), &[column]].concat());
            } else {
                block.push(column);
            }
        }
        blocks.iter_mut().for_each(|block| block.sort_unstable());
        blocks
    }

    fn block(&self, columns: &[usize], width: Option<usize>) -> String {
        let mut builder = Builder::default();
        builder.push_record(columns.iter().map(|&column| &self.titles[column]));
        for row in &self.rows {
            builder.push_record(columns.iter().map(|&column| &row[column]));
        }
        let mut table = builder.build();
        table.with(Style::rounded());
        for (place, &column) in columns.iter().enumerate() {
            if !self.table.columns[column].role.is_left() {
                table.modify(Columns::one(place).not(Rows::first()), Alignment::right());
            }
        }
        if let Some(width) = width.filter(|&width| table.total_width() > width) {
            table.with(Width::wrap(width).keep_words(true).priority(Priority::max(true)));
        }
        table.to_string()
    }
}

/// Number of characters of a text.
fn count(text: &str) -> usize {
    text.chars().count()
}

/// Text in lines of at most `width` characters, unless a word is longer.
pub fn wrap(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        if length > 0 && length + 1 + count(word) > width {
            lines.push('\n');
            length = 0;
        } else if !lines.is_empty() {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += count(word);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Cell, detail, estimate, main, name, place, result, short};

    fn widest(text: &str) -> usize {
        text.lines().map(count).max().unwrap()
    }

    #[test]
    fn columns_that_do_not_fit_follow_below_or_are_named() {
        let columns = [
            name("run", "run"),
            place("epoch", "epoch"),
            detail("first", "a detail of interest"),
            main("value", "mean ratio of something"),
        ];
        let row = vec!["mlp".into(), Cell::Count(1), short(0.25), estimate(0.0446, 0.0001)];
        let table = Table::new("t", "What it is", columns, [row]);
        let whole = table.boxed(None, Extent::Main);
        assert!(whole.starts_with("What it is\n╭"), "{whole}");
        let narrow = table.boxed(Some(40), Extent::Main);
        assert!(widest(&narrow) <= 40 && narrow.contains("0.04460 ± 0.00010"), "{narrow}");
        assert!(narrow.ends_with("not shown without --verbose: a detail of\ninterest"), "{narrow}");
        let all = table.boxed(Some(40), Extent::All);
        assert!(widest(&all) <= 40 && all.contains("0.2500") && all.matches("mlp").count() == 2, "{all}");
    }

    #[test]
    fn places_can_run_across() {
        let columns = [name("run", "network"), place("epoch", "epoch"), result("barriers", "barriers")];
        let row = |run: &str, epoch: usize, barriers: usize| {
            vec![run.into(), Cell::Count(epoch), Cell::Share { count: barriers, of: 450, tested: None }]
        };
        let rows = [row("mlp", 1, 3), row("mlp", 10, 0), row("vgg11", 2, 1)];
        let table = Table { across: true, ..Table::new("barriers", "Barriers / updates", columns, rows) };
        let expected = "\
Barriers / updates
╭─────────┬─────────┬─────────┬──────────╮
│ network │ epoch 1 │ epoch 2 │ epoch 10 │
├─────────┼─────────┼─────────┼──────────┤
│ mlp     │ 3 / 450 │       - │  0 / 450 │
│ vgg11   │       - │ 1 / 450 │        - │
╰─────────┴─────────┴─────────┴──────────╯";
        assert_eq!(table.boxed(None, Extent::Main), expected);
    }
    #[test]
    fn the_last_epochs_are_shown_if_not_all_fit() {
        let columns = [name("run", "network"), place("epoch", "epoch"), result("barriers", "barriers")];
        let row = |epoch| {
            vec!["mlp".into(), Cell::Count(epoch), Cell::Share { count: epoch, of: 450, tested: None }]
        };
        let table =
            Table { across: true, ..Table::new("b", "Barriers / updates", columns, (1..=60).map(row)) };
        let expected = "\
Barriers / updates
╭─────────┬──────────┬──────────╮
│ network │ epoch 59 │ epoch 60 │
├─────────┼──────────┼──────────┤
│ mlp     │ 59 / 450 │ 60 / 450 │
╰─────────┴──────────┴──────────╯
not shown without --verbose: epochs 1 to
58";
        assert_eq!(table.boxed(Some(40), Extent::Main), expected);
        let all = table.boxed(Some(40), Extent::All);
        assert!(all.find("epoch 1 ").unwrap() < all.find("epoch 60").unwrap(), "{all}");
    }
}
