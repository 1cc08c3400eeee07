//! Tables for the terminal.

use tabled::builder::Builder;
use tabled::settings::{Alignment, Style, object::Columns, object::Object, object::Rows};

/// A table under `header`, its first column to the left and the others to the right; `None` without rows.
pub(crate) fn table<H: Into<String>>(
    header: impl IntoIterator<Item = H>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Option<String> {
    let mut builder = Builder::default();
    builder.push_record(header.into_iter().map(Into::into));
    rows.into_iter().for_each(|row| builder.push_record(row));
    if builder.count_records() == 1 {
        return None;
    }
    let mut table = builder.build();
    table.with(Style::rounded());
    table.modify(Columns::new(1..).not(Rows::first()), Alignment::right());
    Some(table.to_string())
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
