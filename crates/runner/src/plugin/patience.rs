//! Calls of a plugin that may never return. A thread cannot be ended from outside: it is left behind, and the program ends with
//! an error.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

/// Changes the seconds that a plugin has for an answer.
const VARIABLE: &str = "SGDWALK_PLUGIN_TIMEOUT";
const DEFAULT_SECONDS: u64 = 60;
/// As large as that of a main thread: a plugin's graph may be built by recursion.
const STACK_BYTES: usize = 8 << 20;

/// What the plugin's `call` returns, on a thread of its own; `what` names it.
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
    // nobody listens to an answer that comes too late
    thread.spawn(move || drop(sender.send(call()))).context("a thread cannot be started")?;
    match receiver.recv_timeout(limit) {
        Ok(result) => Ok(result),
        Err(RecvTimeoutError::Timeout) => bail!(
            "{what} did not answer within {} s; if it only needs longer, set {VARIABLE} to more seconds",
            limit.as_secs_f64()
        ),
        Err(RecvTimeoutError::Disconnected) => Err(anyhow!("{what} ended its thread without an answer")),
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
        assert!(
            error.starts_with("`build` did not answer within 0.02 s; if it only needs longer"),
            "{error}"
        );
    }
}
