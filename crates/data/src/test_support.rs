//! Helpers shared by the crate's tests.

use std::io::Write;

/// Reports that a test was skipped and what it needs, directly on standard error, since the output of passing tests is hidden.
pub(crate) fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}
