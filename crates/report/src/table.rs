//! A table as its cells, and as text for the terminal.

use tabled::builder::Builder;
use tabled::settings::{Alignment, Style, Width, object::Columns, object::Object, object::Rows};

use crate::ReportError;

/// A table's cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name of its files, without their endings.
    pub name: &'static str,
    /// The columns' names.
    pub header: Vec<String>,
    /// The rows, each with a cell per column.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table under `header`; `None` without rows.
    pub(crate) fn new<H: Into<String>>(
        name: &'static str,
        header: impl IntoIterator<Item = H>,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Option<Self> {
        let header = header.into_iter().map(Into::into).collect();
        let rows: Vec<Vec<String>> = rows.into_iter().collect();
        (!rows.is_empty()).then_some(Self { name, header, rows })
    }

    /// Box-drawn text, the first column to the left and the others to the right; cells are wrapped where it would be wider
    /// than `width`.
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
}

impl Table {
    /// As Markdown has it.
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
        crate::csv::bytes(&[std::slice::from_ref(&self.header), &self.rows].concat())
    }
}

/// Text with LaTeX's own characters escaped.
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

/// A cell of a value that may not be there.
pub(crate) fn or_dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".into())
}

/// A number with three digits, as a power of ten where that is shorter.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-2..1e5).contains(&size) {
        format!("{value:.2e}")
    } else {
        let digits = if size >= 100.0 {
            1
        } else if size >= 1.0 {
            3
        } else {
            4
        };
        format!("{value:.digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_table_is_wrapped_to_the_terminal() {
        let row = vec!["mlp".to_owned(), "2.37462 to 0.15184".into(), "0.0446 +- 0.0001".into()];
        let table = Table::new("t", ["", "loss, first to last", "mean cosine"], [row]).unwrap();
        let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest(&table.text(None)) > 40);
        let narrow = table.text(Some(40));
        assert!(widest(&narrow) <= 40 && narrow.contains("2.37462"), "{narrow}");
        assert_eq!(Table::new("t", ["a"], []), None);
    }

    #[test]
    fn a_table_is_written_for_documents() {
        let row = vec!["a_b".to_owned(), "0.1 +- 0.2".into(), "1, 2".into()];
        let table = Table::new("t", ["", "|g|^2", "x"], [row]).unwrap();
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
    fn numbers_keep_three_digits() {
        assert_eq!(
            [0.0, 0.25, 1.5, 123.4, 1e-5, 1e7].map(short),
            ["0.0000", "0.2500", "1.500", "123.4", "1.00e-5", "1.00e7"]
        );
    }
}
