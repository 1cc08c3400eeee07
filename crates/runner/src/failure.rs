//! How a command can fail, and the exit codes.

use crate::output::errln;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Input that cannot be used; nothing was run. Exit code 2.
    Input(anyhow::Error),
    /// A run that started and failed. Exit code 1.
    Run(anyhow::Error),
    /// A run that a signal stopped and that can be resumed. Exit code 3.
    Stopped(String),
    /// A failure that another process of the group reports, with the exit code of that process.
    Silent { exit_code: u8 },
}

impl Failure {
    /// A run that started and failed.
    pub(crate) fn run(error: impl Into<anyhow::Error>) -> Self {
        Self::Run(error.into())
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Run(_) => 1,
            Self::Input(_) => 2,
            Self::Stopped(_) => 3,
            Self::Silent { exit_code } => *exit_code,
        }
    }

    /// Prints the failure, unless another process does.
    pub(crate) fn print(&self) {
        match self {
            Self::Input(error) | Self::Run(error) => errln!("error: {}", chain(error)),
            Self::Stopped(message) => errln!("{message}"),
            Self::Silent { .. } => {}
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Input(error.into())
    }
}

/// An error and its causes in one line; a cause that the preceding error already quotes is not repeated.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = std::io::Error::other("no space");
        let quoted = anyhow::Error::new(cause).context("x: cannot be written: no space").context("a run");
        assert_eq!(chain(&quoted), "a run: x: cannot be written: no space");
    }
}
