//! Ctrl-C and SIGTERM: the first asks the run to stop after the current update, the second ends the process immediately. The
//! runs of a sweep or a reproduction also stop when the process that started them was asked to stop or has died.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::output::errln;

/// Whether a signal was received.
static SIGNALED: AtomicBool = AtomicBool::new(false);

/// Whether standard input ended, for runs that this stops.
static INPUT_ENDED: AtomicBool = AtomicBool::new(false);

/// The exit code after a second signal; shells use it for Ctrl-C.
const AT_ONCE: i32 = 130;

/// Installs the signal handler.
pub(crate) fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if SIGNALED.swap(true, Ordering::Relaxed) {
            std::process::exit(AT_ONCE);
        }
        errln!("\nstopping after this update; press Ctrl-C again to end immediately");
    })
    .context("cannot catch signals")
}

/// Ignores the signals: the leading process of the group decides when to stop.
pub(crate) fn ignore() -> Result<()> {
    ctrlc::set_handler(|| {}).context("cannot catch signals")
}

/// Makes the run stop after the current update once standard input ends.
pub(crate) fn listen_to_input() {
    std::thread::spawn(|| {
        // input is ignored, and an error counts as the end
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        INPUT_ENDED.store(true, Ordering::Relaxed);
    });
}

/// Whether the run should stop.
pub(crate) fn asked() -> bool {
    SIGNALED.load(Ordering::Relaxed) || INPUT_ENDED.load(Ordering::Relaxed)
}
