//! Output to the terminal. A closed or full stream does not stop a run: its measurements matter more than its tables.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use anyhow::{Result, anyhow};
use walk_report::{Extent, Table, wrap};

/// Why standard output could not be written to.
static FAILED: OnceLock<std::io::Error> = OnceLock::new();

/// The warnings so far.
static WARNINGS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Prints a line to standard output, with commands spelled as the user types them.
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

/// Prints text to standard error, ignoring failures; commands are spelled as the user types them.
pub(crate) fn print_error(text: impl fmt::Display) {
    let _ = write!(std::io::stderr(), "{}", as_typed(text));
}

/// Prints a warning to standard error, unless it was printed before.
pub(crate) fn warn(warning: &str) {
    if is_new(warning) {
        errln!("warning: {warning}");
    }
}

/// Whether a warning is new; from then on, it is not.
pub(crate) fn is_new(warning: &str) -> bool {
    WARNINGS.lock().expect("no thread panics").insert(warning.to_owned())
}

/// Text with commands spelled as the user types them.
pub(crate) fn as_typed(text: impl fmt::Display) -> String {
    text.to_string().replace("`sgdwalk ", &format!("`{} ", typed_command()))
}

/// How the user called the program.
fn typed_command() -> String {
    // cargo sets the name of the package whose binary it runs
    if std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == env!("CARGO_PKG_NAME")) {
        return format!("cargo run -p {} --", env!("CARGO_PKG_NAME"));
    }
    // an absolute path comes from a script or another program, not from the user
    let typed = std::env::args().next().filter(|name| !name.is_empty() && !Path::new(name).is_absolute());
    typed.unwrap_or_else(|| "sgdwalk".into())
}

/// Prints a table no wider than the terminal.
pub(crate) fn print_table(table: &Table, extent: Extent) {
    outln!("\n{}", table.boxed(width(), extent));
}

/// Wraps text to the width of the terminal.
pub(crate) fn wrapped(text: &str) -> String {
    wrap(text, width().unwrap_or(usize::MAX))
}

/// The width of the terminal, or the value of `COLUMNS` if standard output is not a terminal.
fn width() -> Option<usize> {
    match terminal_size::terminal_size_of(std::io::stdout()) {
        Some((width, _)) => Some(usize::from(width.0)),
        None => std::env::var("COLUMNS").ok()?.parse().ok(),
    }
}

/// Whether all output could be written. A reader that closed the pipe early, as `head` does, is not an error.
pub(crate) fn check() -> Result<()> {
    match FAILED.get().filter(|error| error.kind() != ErrorKind::BrokenPipe) {
        Some(error) => Err(anyhow!("cannot write to standard output: {error}")),
        None => Ok(()),
    }
}
