//! What the program prints. A stream that is closed or full ends nothing: what a run measured matters more than its tables.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};

/// Why standard output could not be written.
static FAILED: OnceLock<std::io::Error> = OnceLock::new();

/// Prints a line to standard output.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::print_error(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {errln, outln};

/// Prints text to standard output, unless that failed before.
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
    let text = text.to_string().replace("`sgdwalk ", &format!("`{} ", typed_command()));
    let _ = write!(std::io::stderr(), "{text}");
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

/// Whether all that was printed could be written. A reader that went away, as `head` does, is none that misses anything.
pub(crate) fn check() -> Result<()> {
    match FAILED.get().filter(|error| error.kind() != ErrorKind::BrokenPipe) {
        Some(error) => Err(anyhow!("standard output cannot be written: {error}")),
        None => Ok(()),
    }
}
