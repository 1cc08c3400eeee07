//! What the program prints. A stream that is closed or full ends nothing: what a run measured matters more than its tables.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use walk_report::{Extent, Table, wrap};

/// Why standard output could not be written.
static FAILED: OnceLock<std::io::Error> = OnceLock::new();

/// Prints a line to standard output, with commands in it as the user types them.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::print($crate::output::as_typed(format_args!("{}\n", format_args!($($text)*)))) };
}

/// Prints a line to standard error.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::print_error(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {errln, outln};

/// Prints text to standard output as it is, unless that failed before.
pub(crate) fn print(text: impl fmt::Display) {
    if FAILED.get().is_some() {
        return;
    }
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // only the first failure counts
        let _ = FAILED.set(error);
    }
}

/// Prints text to standard error, where there is nobody to tell of a failure; commands in it are as the user types them.
pub(crate) fn print_error(text: impl fmt::Display) {
    let _ = write!(std::io::stderr(), "{}", as_typed(text));
}

/// Text in which commands are as the user types them.
pub(crate) fn as_typed(text: impl fmt::Display) -> String {
    text.to_string().replace("`sgdwalk ", &format!("`{} ", typed_command()))
}

/// How the user called the program.
fn typed_command() -> String {
    // cargo says whose binary it runs
    if std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == env!("CARGO_PKG_NAME")) {
        return format!("cargo run -p {} --", env!("CARGO_PKG_NAME"));
    }
    // a path from the root is what a script or another program calls it by
    let typed = std::env::args().next().filter(|name| !name.is_empty() && !Path::new(name).is_absolute());
    typed.unwrap_or_else(|| "sgdwalk".into())
}

/// Prints a table that is not wider than the terminal.
pub(crate) fn print_table(table: &Table, extent: Extent) {
    outln!("\n{}", table.boxed(width(), extent));
}

/// Text in lines that are not wider than the terminal.
pub(crate) fn wrapped(text: &str) -> String {
    wrap(text, width().unwrap_or(usize::MAX))
}

/// The width of the terminal, or what `COLUMNS` says where standard output is none.
fn width() -> Option<usize> {
    match terminal_size::terminal_size_of(std::io::stdout()) {
        Some((width, _)) => Some(usize::from(width.0)),
        None => std::env::var("COLUMNS").ok()?.parse().ok(),
    }
}

/// Whether all that was printed could be written. A reader that went away, as `head` does, is none that misses anything.
pub(crate) fn check() -> Result<()> {
    match FAILED.get().filter(|error| error.kind() != ErrorKind::BrokenPipe) {
        Some(error) => Err(anyhow!("standard output cannot be written: {error}")),
        None => Ok(()),
    }
}
