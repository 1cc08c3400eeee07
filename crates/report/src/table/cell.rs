//! Table cells: typed values, shown as text to readers and as one number per column to programs.

use std::fmt;

use walk_record::{Measured, Stamped};

/// Shown where there is no value.
const MISSING: &str = "-";

/// A value in a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// No value.
    Missing,
    /// Text.
    Text(String),
    /// How many.
    Count(usize),
    /// A count out of a total, and how many of the counted pass a test, if there is one.
    Share {
        /// How many.
        count: usize,
        /// The total.
        of: usize,
        /// How many of the counted pass.
        tested: Option<usize>,
    },
    /// A number.
    Number {
        /// Its value.
        value: Measured,
        /// How it is shown.
        format: Format,
    },
    /// An estimate and its standard error.
    Estimate {
        /// The estimate.
        value: Measured,
        /// Its standard error.
        error: Measured,
        /// How both are shown.
        format: Format,
    },
    /// A number at the start and at the end.
    Span {
        /// At the start.
        first: Measured,
        /// At the end.
        last: Measured,
        /// How both are shown.
        format: Format,
    },
    /// Numbers in order.
    List(Vec<Measured>),
    /// For several runs: the mean and the standard deviation of a number that each of them has.
    Spread {
        /// The mean.
        mean: Measured,
        /// The standard deviation; missing for fewer than two values.
        deviation: Measured,
        /// How both are shown.
        format: Format,
        /// The number of runs with a value, if not all have one.
        values: Option<usize>,
    },
    /// For several runs: a mean and a standard deviation for each number of a list.
    Spreads(Vec<[Measured; 2]>),
}

/// How a number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Three to five digits, in scientific notation if that is shorter.
    Short,
    /// A fixed number of digits after the point; in scientific notation if it is huge.
    Decimals(usize),
    /// Scientific notation, with a fixed number of digits after the point.
    Scientific(usize),
    /// A fraction as a percentage, with a fixed number of digits after the point.
    Percent(usize),
    /// A factor, with one digit after the point.
    Times,
}

impl Cell {
    /// The text shown to readers.
    pub fn text(&self) -> String {
        match self {
            Self::Missing => MISSING.into(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Share { count, of, tested: None } => format!("{count} / {of}"),
            Self::Share { count, of, tested: Some(tested) } => format!("{count} / {of} ({tested})"),
            Self::Number { value, format } => format.text(*value),
            Self::Estimate { value, error, format } => with_error(*value, *error, *format),
            Self::Span { first, last, format } => match (first.get(), last.get()) {
                (None, None) => MISSING.into(),
                _ => format!("{} to {}", format.text(*first), format.text(*last)),
            },
            Self::List(values) => list(values, |value| Format::Short.text(*value)),
            Self::Spread { mean, deviation, format, values } => {
                let known = values.map(|values| format!(" ({values})")).unwrap_or_default();
                with_error(*mean, *deviation, *format) + &known
            }
            Self::Spreads(values) => {
                list(values, |[mean, deviation]| with_error(*mean, *deviation, Format::Short))
            }
        }
    }

    /// Its numbers, each with the suffix of its column name.
    pub(super) fn parts(&self) -> Vec<(String, String)> {
        let named = |parts: &[(&str, String)]| {
            parts.iter().map(|(suffix, value)| ((*suffix).to_owned(), value.clone())).collect()
        };
        match self {
            Self::Missing => named(&[("", String::new())]),
            Self::Text(text) => named(&[("", text.clone())]),
            Self::Count(count) => named(&[("", count.to_string())]),
            Self::Share { count, of, tested } => {
                let mut parts = vec![("", count.to_string()), ("_of", of.to_string())];
                parts.extend(tested.map(|tested| ("_tested", tested.to_string())));
                named(&parts)
            }
            Self::Number { value, .. } => named(&[("", raw(*value))]),
            Self::Estimate { value, error, .. } => named(&[("", raw(*value)), ("_se", raw(*error))]),
            Self::Span { first, last, .. } => named(&[("_first", raw(*first)), ("_last", raw(*last))]),
            Self::List(values) => {
                values.iter().zip(1..).map(|(value, number)| (format!("_{number}"), raw(*value))).collect()
            }
            Self::Spread { mean, deviation, values, .. } => {
                let mut parts = vec![("", raw(*mean)), ("_std", raw(*deviation))];
                parts.extend(values.map(|values| ("_runs", values.to_string())));
                named(&parts)
            }
            Self::Spreads(values) => {
                let parts = values.iter().zip(1..).flat_map(|([mean, deviation], number)| {
                    [(format!("_{number}"), raw(*mean)), (format!("_{number}_std"), raw(*deviation))]
                });
                parts.collect()
            }
        }
    }

    /// The number that runs can be compared by, if it is one.
    pub(crate) fn value(&self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(*count as f64),
            Self::Share { count, of, .. } => (*of > 0).then(|| *count as f64 / *of as f64),
            Self::Number { value, .. } | Self::Estimate { value, .. } => value.get(),
            Self::Span { last, .. } => last.get(),
            Self::List(values) => values.first()?.get(),
            Self::Missing | Self::Text(_) | Self::Spread { .. } | Self::Spreads(_) => None,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Format {
    /// The number in this format.
    pub fn text(self, value: Measured) -> String {
        let Some(value) = value.get() else { return MISSING.into() };
        match self {
            Self::Short => match value.abs() {
                0.0 | 1e-2..1.0 => format!("{value:.4}"),
                1.0..100.0 => format!("{value:.3}"),
                100.0..1e5 => format!("{value:.1}"),
                _ => format!("{value:.2e}"),
            },
            Self::Decimals(_) if value.abs() >= 1e6 => format!("{value:.3e}"),
            Self::Decimals(digits) => format!("{value:.digits$}"),
            Self::Scientific(digits) => format!("{value:.digits$e}"),
            Self::Percent(_) if value.abs() >= 1e6 => format!("{value:.3e}"),
            Self::Percent(digits) => format!("{:.digits$}%", 100.0 * value),
            Self::Times => format!("{value:.1}x"),
        }
    }
}

/// A number and its error, with two digits of the error and the same number of places for the number; in scientific notation
/// if very small or large.
fn with_error(value: Measured, error: Measured, format: Format) -> String {
    let (Some(number), Some(reach)) = (value.get(), error.get()) else { return format.text(value) };
    let (number, reach, unit) = match format {
        Format::Percent(_) => (100.0 * number, 100.0 * reach, "%"),
        _ => (number, reach, ""),
    };
    let size = number.abs().max(reach.abs());
    // a deviation of exactly 0 means that all values are the same
    if !size.is_finite() || reach == 0.0 {
        return format.text(value);
    }
    let exponent = if size > 0.0 && !(1e-3..1e5).contains(&size) { size.log10().floor() as i32 } else { 0 };
    let scale = 10f64.powi(-exponent);
    let (number, reach) = (number * scale, reach * scale);
    let leading = reach.log10().floor();
    if !leading.is_finite() {
        return format.text(value);
    }
    let places = (1.0 - leading).clamp(0.0, 8.0) as usize;
    match exponent {
        0 => format!("{number:.places$}{unit} ± {reach:.places$}{unit}"),
        _ => format!("({number:.places$} ± {reach:.places$})e{exponent}{unit}"),
    }
}

fn list<T>(values: &[T], text: impl Fn(&T) -> String) -> String {
    match values {
        [] => MISSING.into(),
        values => values.iter().map(text).collect::<Vec<String>>().join(", "),
    }
}

/// All digits; empty if there is no number.
fn raw(value: Measured) -> String {
    value.get().map(|value| value.to_string()).unwrap_or_default()
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}

/// An epoch, or the first and the last of several.
pub(crate) fn epochs(first: u32, last: u32) -> Cell {
    if last > first { format!("{first}-{last}").into() } else { (first as usize).into() }
}

/// The epochs of rows in the order of their updates.
pub(crate) fn epochs_of<T>(rows: &[Stamped<'_, T>]) -> Cell {
    let epoch = |row: Option<&Stamped<'_, T>>| row.map_or(0, |row| row.at.epoch);
    epochs(epoch(rows.first()), epoch(rows.last()))
}

/// A number with three to five digits.
pub(crate) fn short(value: impl Into<Measured>) -> Cell {
    Cell::Number { value: value.into(), format: Format::Short }
}

/// A number with this many digits after the point.
pub(crate) fn decimals(value: impl Into<Measured>, digits: usize) -> Cell {
    Cell::Number { value: value.into(), format: Format::Decimals(digits) }
}

/// A number in scientific notation, with this many digits after the point.
pub(crate) fn scientific(value: impl Into<Measured>, digits: usize) -> Cell {
    Cell::Number { value: value.into(), format: Format::Scientific(digits) }
}

/// A fraction as a percentage.
pub(crate) fn percent(value: impl Into<Measured>, digits: usize) -> Cell {
    Cell::Number { value: value.into(), format: Format::Percent(digits) }
}

/// A factor.
pub(crate) fn times(value: impl Into<Measured>) -> Cell {
    Cell::Number { value: value.into(), format: Format::Times }
}

/// An estimate and its standard error.
pub(crate) fn estimate(value: impl Into<Measured>, error: impl Into<Measured>) -> Cell {
    Cell::Estimate { value: value.into(), error: error.into(), format: Format::Short }
}

/// A count out of a total.
pub(crate) const fn share(count: usize, of: usize) -> Cell {
    Cell::Share { count, of, tested: None }
}

/// The number used out of all.
pub(crate) fn of_all(used: usize, all: usize) -> Cell {
    if used == all { Cell::Count(used) } else { share(used, all) }
}

#[cfg(test)]
mod tests {
    use walk_record::measured;

    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let text = |value: f64| short(value).text();
        assert_eq!(
            [0.0, 0.25, 1.5, 123.4, 1e-5, 1e7, f64::NAN].map(text),
            ["0.0000", "0.2500", "1.500", "123.4", "1.00e-5", "1.00e7", "-"]
        );
    }

    #[test]
    fn an_error_has_two_digits_and_decides_on_those_of_the_number() {
        let text = |value: f64, error: f64| estimate(value, error).text();
        assert_eq!(
            [text(f64::NAN, 0.1), text(-0.5, f64::NAN), text(2.0, 0.5)],
            ["-", "-0.5000", "2.00 ± 0.50"]
        );
        assert_eq!([text(0.231_94, 0.014), text(123.4, 15.0)], ["0.232 ± 0.014", "123 ± 15"]);
        assert_eq!([text(9.18e-4, 9.8e-5), text(0.0, 2e-9)], ["(9.18 ± 0.98)e-4", "(0.0 ± 2.0)e-9"]);
        assert_eq!([text(3.0, 0.0), text(1e300, f64::MAX)], ["3.000", "(0.0 ± 1.8)e308"]);
        let percent = Cell::Spread {
            mean: 0.9051.into(),
            deviation: 0.0129.into(),
            format: Format::Percent(2),
            values: None,
        };
        assert_eq!(percent.text(), "90.5% ± 1.3%");
    }

    #[test]
    fn what_is_huge_is_a_power_of_ten() {
        let text = |value: f64| decimals(value, 4).text();
        assert_eq!([0.1234, 99_999.5, 1.5e36, f64::NAN].map(text), ["0.1234", "99999.5000", "1.500e36", "-"]);
    }

    #[test]
    fn programs_get_one_number_for_each_name() {
        let parts = |cell: Cell| {
            cell.parts()
                .into_iter()
                .map(|(suffix, value)| format!("x{suffix}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(parts(estimate(0.1, f64::NAN)), "x=0.1 x_se=");
        assert_eq!(parts(Cell::Share { count: 3, of: 70, tested: Some(1) }), "x=3 x_of=70 x_tested=1");
        assert_eq!(parts(Cell::List(measured(&[2.5, 1.0]))), "x_1=2.5 x_2=1");
    }
}
