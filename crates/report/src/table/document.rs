//! Tables for documents and for programs.

use super::cell::Cell;
use super::grid::Table;
use crate::error::ReportError;

impl Table {
    /// A table in Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let table = self.shown();
        let rule =
            table.columns.iter().map(|column| if column.role.is_left() { " --- |" } else { " ---: |" });
        let rule = format!("|{}\n", rule.collect::<String>());
        line(&table.titles()) + &rule + &table.texts().iter().map(|row| line(row)).collect::<String>()
    }

    /// A `tabular` for LaTeX with the package booktabs.
    pub fn latex(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| latex_text(cell)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let table = self.shown();
        let columns: String =
            table.columns.iter().map(|column| if column.role.is_left() { 'l' } else { 'r' }).collect();
        let rows: String = table.texts().iter().map(|row| line(row)).collect();
        format!(
            "\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n",
            line(&table.titles())
        )
    }

    /// CSV for programs: a header of snake-case names and one value per cell, empty if there is none.
    ///
    /// # Errors
    /// [`ReportError::Csv`] if they cannot be written.
    pub fn csv(&self) -> Result<Vec<u8>, ReportError> {
        // a column of several numbers has a name for each number that some row has
        let suffixes = (0..self.columns.len()).map(|column| {
            let mut suffixes: Vec<String> = vec![];
            for (suffix, _) in self.rows.iter().flat_map(|row| row[column].parts()) {
                if !suffixes.contains(&suffix) {
                    suffixes.push(suffix);
                }
            }
            // a missing value has no other parts
            let has_parts = suffixes.iter().any(|suffix| suffix.starts_with('_'));
            let is_needed = |row: &Vec<Cell>| {
                !matches!(row[column], Cell::Missing)
                    && row[column].parts().iter().any(|(suffix, _)| suffix.is_empty())
            };
            if has_parts && !self.rows.iter().any(is_needed) {
                suffixes.retain(|suffix| !suffix.is_empty());
            }
            suffixes
        });
        let suffixes: Vec<Vec<String>> = suffixes.collect();
        let names = self.columns.iter().zip(&suffixes);
        let names = names
            .flat_map(|(column, suffixes)| suffixes.iter().map(|suffix| format!("{}{suffix}", column.key)));
        let mut writer = csv::Writer::from_writer(vec![]);
        writer.write_record(names)?;
        for row in &self.rows {
            let values = row.iter().zip(&suffixes).flat_map(|(cell, suffixes)| {
                let parts = cell.parts();
                suffixes.iter().map(move |suffix| {
                    let found = parts.iter().find(|(other, _)| other == suffix);
                    found.map(|(_, value)| value.clone()).unwrap_or_default()
                })
            });
            writer.write_record(values)?;
        }
        writer.into_inner().map_err(|error| ReportError::Csv(error.into_error().into()))
    }
}

/// Text with LaTeX's special characters escaped.
fn latex_text(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '<' | '>' | '|' => out.extend(['$', c, '$']),
            '^' => out.push_str("\\^{}"),
            '~' => out.push_str("\\~{}"),
            c => match MATH.iter().find(|(symbol, _)| *symbol == c) {
                Some((_, math)) => out.extend(["$", math, "$"]),
                None => out.push(c),
            },
        }
    }
    out
}

/// Symbols that plain LaTeX has only in math mode.
const MATH: &[(char, &str)] = &[
    ('±', "\\pm"),
    ('λ', "\\lambda"),
    ('η', "\\eta"),
    ('α', "\\alpha"),
    ('σ', "\\sigma"),
    ('θ', "\\theta"),
    ('‖', "\\|"),
    ('ᵀ', "^\\top"),
    ('²', "^2"),
    ('₁', "_1"),
    ('ḡ', "\\bar g"),
    ('≤', "\\le"),
    ('−', "-"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{estimate, main, name, share};

    #[test]
    fn a_table_is_written_for_documents() {
        let columns = [name("run", "run"), main("norm", "‖g‖²"), main("crossed", "crossed")];
        let rows = [
            vec!["a_b".into(), estimate(0.5, 0.25), share(1, 2)],
            vec!["c,d".into(), Cell::Missing, Cell::Missing],
        ];
        let table = Table::new("t", "T", columns, rows);
        assert_eq!(
            table.markdown(),
            "| run | ‖g‖² | crossed |\n| --- | ---: | ---: |\n| a_b | 0.50 ± 0.25 | 1 / 2 |\n| c,d | - | - |\n"
        );
        let latex = table.latex();
        assert!(
            latex.starts_with(
                "\\begin{tabular}{lrr}\n\\toprule\nrun & $\\|$g$\\|$$^2$ & crossed \\\\\n\\midrule\n"
            ),
            "{latex}"
        );
        assert!(latex.contains("a\\_b & 0.50 $\\pm$ 0.25 & 1 / 2 \\\\\n"), "{latex}");
        assert_eq!(
            String::from_utf8(table.csv().unwrap()).unwrap(),
            "run,norm,norm_se,crossed,crossed_of\na_b,0.5,0.25,1,2\n\"c,d\",,,,\n"
        );
    }
}
