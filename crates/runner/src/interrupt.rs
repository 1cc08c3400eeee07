//! Ctrl-C and SIGTERM: the first asks the run to stop after the current update, the second ends the process at once. The runs of
//! a sweep or a reproduction also stop when the process that started them was asked to, or is gone.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::output::errln;

/// Whether a signal came.
static SIGNALED: AtomicBool = AtomicBool::new(false);

/// Whether standard input ended, where that asks the run to stop.
static INPUT_ENDED: AtomicBool = AtomicBool::new(false);

/// The exit code after a second signal; shells use it for Ctrl-C.
const AT_ONCE: i32 = 130;

/// Handles the signals from here on.
pub(crate) fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if SIGNALED.swap(true, Ordering::Relaxed) {
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

/// From here on, the end of standard input asks the run to stop after the current update.
pub(crate) fn listen_to_input() {
    std::thread::spawn(|| {
        // what comes in is of no interest, and an error is an end
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        INPUT_ENDED.store(true, Ordering::Relaxed);
    });
}

/// Whether the run should stop.
pub(crate) fn asked() -> bool {
    SIGNALED.load(Ordering::Relaxed) || INPUT_ENDED.load(Ordering::Relaxed)
}
