//! A table as its cells, and as text for terminals and documents.

use tabled::builder::Builder;
use tabled::settings::{Alignment, Style, Width, object::Columns, object::Object, object::Rows};
use walk_record::rows::RowKind;
use walk_record::{Measured, Run};

use crate::error::ReportError;

/// A table's cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name of its files, without their extensions.
    pub name: String,
    /// The columns' names.
    pub header: Vec<String>,
    /// The rows, each with a cell per column.
    pub rows: Vec<Vec<String>>,
}

/// A column of a table of rows.
pub(crate) struct Column<T> {
    header: &'static str,
    /// Its cell for a row.
    cell: fn(&T) -> String,
}

pub(crate) fn column<T>(header: &'static str, cell: fn(&T) -> String) -> Column<T> {
    Column { header, cell }
}

impl Table {
    /// A table with a line for every row of a kind that the runs recorded: where it was recorded, and then `columns`.
    pub(crate) fn of_rows<T: RowKind>(name: &str, runs: &[Run], columns: &[Column<T>]) -> Self {
        let header = ["", "epoch", "step"].into_iter().chain(columns.iter().map(|column| column.header));
        let lines = runs.iter().flat_map(|run| {
            run.rows::<T>().map(|row| {
                let place = [run.label.clone(), row.at.epoch.to_string(), row.at.step.to_string()];
                place.into_iter().chain(columns.iter().map(|column| (column.cell)(&row))).collect()
            })
        });
        Self::new(name, header, lines)
    }

    pub(crate) fn new<H: Into<String>>(
        name: impl Into<String>,
        header: impl IntoIterator<Item = H>,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        let header = header.into_iter().map(Into::into).collect();
        Self { name: name.into(), header, rows: rows.into_iter().collect() }
    }

    /// Text in a box, with the first column aligned left and the others right; cells are wrapped where it would be wider than
    /// `width`.
    pub fn text(&self, width: Option<usize>) -> String {
        let mut builder = Builder::default();
        builder.push_record(&self.header);
        self.rows.iter().for_each(|row| builder.push_record(row));
        let mut table = builder.build();
        table.with(Style::rounded());
        table.modify(Columns::new(1..).not(Rows::first()), Alignment::right());
        if let Some(width) = width.filter(|&width| table.total_width() > width) {
            table.with(Width::wrap(width).keep_words(true));
        }
        table.to_string()
    }

    /// A table in Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let columns = self.header.len().saturating_sub(1);
        let rule = format!("| --- |{}\n", " ---: |".repeat(columns));
        line(&self.header) + &rule + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }

    /// A `tabular` for LaTeX with the package booktabs.
    pub fn latex(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| latex_text(cell)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let columns = format!("l{}", "r".repeat(self.header.len().saturating_sub(1)));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!(
            "\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n",
            line(&self.header)
        )
    }

    /// Comma-separated values.
    ///
    /// # Errors
    /// [`ReportError::Csv`] if they cannot be written.
    pub fn csv(&self) -> Result<Vec<u8>, ReportError> {
        let mut writer = csv::Writer::from_writer(vec![]);
        std::iter::once(&self.header).chain(&self.rows).try_for_each(|record| writer.write_record(record))?;
        writer.into_inner().map_err(|error| ReportError::Csv(error.into_error().into()))
    }
}

/// Text with LaTeX's special characters escaped.
fn latex_text(text: &str) -> String {
    let mut out = String::new();
    for c in text.replace("+-", "$\\pm$").chars() {
        match c {
            '&' | '%' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '|' => out.push_str("$|$"),
            '<' | '>' => out.extend(['$', c, '$']),
            '^' => out.push_str("\\^{}"),
            '~' => out.push_str("\\~{}"),
            c => out.push(c),
        }
    }
    out
}

/// A line of cells.
pub(crate) fn cells<const N: usize>(values: [&dyn ToString; N]) -> Vec<String> {
    values.map(|value| value.to_string()).into()
}

/// A cell of a value that may be missing.
pub(crate) fn or_dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".into())
}

/// A number with three digits, as a power of ten where that is shorter.
pub(crate) fn short(value: impl Into<Measured>) -> String {
    let three_digits = |value: f64| match value.abs() {
        0.0 | 1e-2..1.0 => format!("{value:.4}"),
        1.0..100.0 => format!("{value:.3}"),
        100.0..1e5 => format!("{value:.1}"),
        _ => format!("{value:.2e}"),
    };
    or_dash(value.into().get().map(three_digits))
}

/// How many of all samples were used.
pub(crate) fn of_all(used: usize, all: usize) -> String {
    if used == all { used.to_string() } else { format!("{used} of {all}") }
}

/// A number with so many digits after the point, as a power of ten where it is huge.
pub(crate) fn decimals(value: Measured, digits: usize) -> String {
    let is_huge = value.get().is_some_and(|value| value.abs() >= 1e6);
    if is_huge { scientific(value, 3) } else { format!("{value:.digits$}") }
}

/// A number and its standard error, "-" where it is not known.
pub(crate) fn with_error(value: impl Into<Measured>, error: impl Into<Measured>) -> String {
    let value = value.into();
    or_dash(value.get().map(|value| format!("{} +- {}", short(value), short(error))))
}

/// A number as a power of ten, with so many digits after the point.
pub(crate) fn scientific(value: Measured, digits: usize) -> String {
    or_dash(value.get().map(|value| format!("{value:.digits$e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_table_is_wrapped_to_the_terminal() {
        let row = vec!["mlp".to_owned(), "2.37462 to 0.15184".into(), "0.0446 +- 0.0001".into()];
        let table = Table::new("t", ["", "loss, first to last", "mean cosine"], [row]);
        let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest(&table.text(None)) > 40);
        let narrow = table.text(Some(40));
        assert!(widest(&narrow) <= 40 && narrow.contains("2.37462"), "{narrow}");
    }

    #[test]
    fn a_table_is_written_for_documents() {
        let row = vec!["a_b".to_owned(), "0.1 +- 0.2".into(), "1, 2".into()];
        let table = Table::new("t", ["", "|g|^2", "x"], [row]);
        assert_eq!(
            table.markdown(),
            "|  | \\|g\\|^2 | x |\n| --- | ---: | ---: |\n| a_b | 0.1 +- 0.2 | 1, 2 |\n"
        );
        let latex = table.latex();
        assert!(
            latex.starts_with("\\begin{tabular}{lrr}\n\\toprule\n & $|$g$|$\\^{}2 & x \\\\\n\\midrule\n"),
            "{latex}"
        );
        assert!(latex.contains("a\\_b & 0.1 $\\pm$ 0.2 & 1, 2 \\\\\n"), "{latex}");
        assert_eq!(table.csv().unwrap(), b",|g|^2,x\na_b,0.1 +- 0.2,\"1, 2\"\n");
    }

    #[test]
    fn what_is_huge_is_a_power_of_ten() {
        let text = |value: f64| decimals(value.into(), 4);
        assert_eq!([0.1234, 99_999.5, 1.5e36, f64::NAN].map(text), ["0.1234", "99999.5000", "1.500e36", "-"]);
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(
            [0.0, 0.25, 1.5, 123.4, 1e-5, 1e7].map(short),
            ["0.0000", "0.2500", "1.500", "123.4", "1.00e-5", "1.00e7"]
        );
        assert_eq!([short(f64::NAN), with_error(-0.5, f64::NAN)], ["-", "-0.5000 +- -"]);
    }
}
