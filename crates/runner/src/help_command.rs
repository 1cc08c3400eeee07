//! `runner completions SHELL`, `runner man`, and the command that was meant.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use walk_arch::nearest;

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

/// The command that a word which is no file may have been meant for.
pub(crate) fn nearest_command(word: &Path) -> Option<String> {
    let command = Arguments::command();
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    nearest(word.to_str()?, names.iter().copied()).map(str::to_owned)
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(bytes).context("standard output is closed")?)
}
