//! What the program prints. A stream that is closed or full ends nothing: what a run measured matters more than its tables.

use std::fmt;
use std::io::{ErrorKind, Write};
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

/// Prints text to standard error, where there is nobody to tell of a failure.
pub(crate) fn print_error(text: impl fmt::Display) {
    let _ = write!(std::io::stderr(), "{text}");
}

/// Whether all that was printed could be written. A reader that went away, as `head` does, is none that misses anything.
pub(crate) fn check() -> Result<()> {
    match FAILED.get().filter(|error| error.kind() != ErrorKind::BrokenPipe) {
        Some(error) => Err(anyhow!("standard output cannot be written: {error}")),
        None => Ok(()),
    }
}
