//! Plugin calls that may never return. A thread cannot be killed from outside: it is abandoned, and the program exits with
//! an error.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

/// Environment variable with the plugin timeout in seconds.
const VARIABLE: &str = "SGDWALK_PLUGIN_TIMEOUT";
const DEFAULT_SECONDS: u64 = 60;
/// As large as the main thread's: a plugin may build its graph recursively.
const STACK_BYTES: usize = 8 << 20;

/// Runs a plugin's `call` on a separate thread and returns its result; `what` describes it in errors.
pub(super) fn answer<R: Send + 'static>(what: &str, call: impl FnOnce() -> R + Send + 'static) -> Result<R> {
    let seconds = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().ok().filter(|&seconds| seconds > 0).with_context(|| {
            format!("{VARIABLE} = \"{text}\", expected a whole number of seconds of at least 1")
        })?,
        Err(_) => DEFAULT_SECONDS,
    };
    answer_within(Duration::from_secs(seconds), what, call)
}

fn answer_within<R: Send + 'static>(
    limit: Duration,
    what: &str,
    call: impl FnOnce() -> R + Send + 'static,
) -> Result<R> {
    let (sender, receiver) = channel();
    let thread = Builder::new().name("plugin".into()).stack_size(STACK_BYTES);
    // sending fails if the answer comes too late
    thread.spawn(move || drop(sender.send(call()))).context("cannot start a thread")?;
    match receiver.recv_timeout(limit) {
        Ok(result) => Ok(result),
        Err(RecvTimeoutError::Timeout) => bail!(
            "{what} did not return within {} s; if it needs more time, set {VARIABLE} to a larger number of seconds",
            limit.as_secs_f64()
        ),
        Err(RecvTimeoutError::Disconnected) => Err(anyhow!("{what} ended its thread without returning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_an_answer_is_given_up() {
        assert_eq!(answer_within(Duration::from_secs(30), "x", || 7).unwrap(), 7);
        let forever = || loop {
            std::thread::park();
        };
        let error =
            answer_within::<()>(Duration::from_millis(20), "`build`", forever).unwrap_err().to_string();
        assert!(error.starts_with("`build` did not return within 0.02 s; if it needs more time"), "{error}");
    }
}
