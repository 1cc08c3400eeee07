//! What the crate's tests share.

use std::io::Write;

/// Says that a test was skipped and what it needs: on standard error itself, since what a passing test prints is not shown.
pub(crate) fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}
