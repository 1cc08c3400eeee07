//! `sgdwalk completions SHELL` and `sgdwalk man [VERB]`.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};
use clap_complete::Shell;
use clap_mangen::Man;
use walk_arch::did_you_mean;

use crate::cli;
use crate::failure::Failure;

/// Prints a shell's completion script.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = vec![];
    clap_complete::generate(shell, &mut cli::command(), "sgdwalk", &mut script);
    print(&script)
}

/// Prints the manual page of a verb, given as its words; that of the program if there are none.
pub(crate) fn print_manual(verb: &[String]) -> Result<(), Failure> {
    let mut program = cli::command().disable_help_subcommand(true);
    program.build();
    let mut command = &program;
    for word in verb {
        command = command.find_subcommand(word).ok_or_else(|| {
            let known = command.get_subcommands().map(clap::Command::get_name);
            anyhow!("man {}: there is no verb `{word}`{}", verb.join(" "), did_you_mean(word, known))
        })?;
    }
    let mut page = vec![];
    Man::new(command.clone()).render(&mut page).context("the manual page cannot be written")?;
    print(&page)
}

/// Writes the manual pages of the program and all verbs into a folder.
pub(crate) fn write_manuals(folder: &Path) -> Result<(), Failure> {
    let write = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(cli::command(), folder)
    };
    write().with_context(|| format!("{}: the manual pages cannot be written there", folder.display()))?;
    Ok(())
}

/// Prints text, unless standard output is closed.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(bytes).context("standard output is closed")?)
}
