//! How a command fails, and the exit code that says so.

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something the user gave cannot be used; nothing was run. Exit code 2.
    Input(anyhow::Error),
    /// A run began and failed. Exit code 1.
    Run(anyhow::Error),
    /// A run was ended by a signal and can go on. Exit code 3.
    Stopped(String),
    /// Another process of the job says why. Exit code 2.
    Silent,
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Run(_) => 1,
            Self::Input(_) | Self::Silent => 2,
            Self::Stopped(_) => 3,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input(error) | Self::Run(error) => write!(f, "{error:#}"),
            Self::Stopped(message) => f.write_str(message),
            Self::Silent => Ok(()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Input(error)
    }
}
