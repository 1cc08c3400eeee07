//! `runner completions SHELL` and `runner man`.

use std::io::Write;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Arguments;
use crate::failure::Failure;

/// Prints a shell's completion script.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = vec![];
    clap_complete::generate(shell, &mut Arguments::command(), "runner", &mut script);
    print(&script)
}

/// Prints the manual page.
pub(crate) fn manual() -> Result<(), Failure> {
    let mut page = vec![];
    clap_mangen::Man::new(Arguments::command()).render(&mut page).context("the manual cannot be made")?;
    print(&page)
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(bytes).context("standard output is closed")?)
}
