//! Ctrl-C and SIGTERM: the first asks the run to stop after the current update, the second ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::output::errln;

static ASKED: AtomicBool = AtomicBool::new(false);

/// The exit code after a second signal; shells use it for Ctrl-C.
const AT_ONCE: i32 = 130;

/// Handles the signals from here on.
pub(crate) fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(AT_ONCE);
        }
        errln!("\nstopping after this update; press Ctrl-C again to end at once");
    })
    .context("signals cannot be caught")
}

/// Ignores the signals from here on: the process that leads the group says when to stop.
pub(crate) fn ignore() -> Result<()> {
    ctrlc::set_handler(|| {}).context("signals cannot be caught")
}

/// Whether the run should stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
