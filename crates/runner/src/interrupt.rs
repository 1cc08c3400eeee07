//! Ctrl-C and SIGTERM: the first asks the run to end after the update it is at, the second ends it at once.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

static ASKED: AtomicBool = AtomicBool::new(false);

/// The exit code of a second signal, as shells have it for Ctrl-C.
const AT_ONCE: i32 = 130;

/// Takes the signals from here on. A process that does not lead its job leaves them to the one that does.
pub(crate) fn listen(leads: bool) -> Result<()> {
    ctrlc::set_handler(move || {
        if !leads {
            return;
        }
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(AT_ONCE);
        }
        eprintln!("\nending after this update; once more ends it at once");
    })
    .context("signals cannot be caught")
}

/// Whether the run is to end.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
