//! `sgdwalk completions SHELL` and `sgdwalk man [VERB]`.

use std::path::Path;

use anyhow::{Context, anyhow};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use walk_arch::did_you_mean;

use crate::cli;
use crate::failure::Failure;
use crate::output;

/// Prints a shell's completion script.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = vec![];
    clap_complete::generate(shell, &mut cli::command(), "sgdwalk", &mut script);
    output::print(String::from_utf8_lossy(&script));
    Ok(())
}

/// Prints the manual page of a verb, given as its words, or that of the program if there are none.
pub(crate) fn print_manual(verb: &[String]) -> Result<(), Failure> {
    let program = program();
    let mut command = &program;
    for word in verb {
        command = command.find_subcommand(word).ok_or_else(|| {
            let known = command.get_subcommands().map(clap::Command::get_name);
            anyhow!("man {}: no verb `{word}`{}", verb.join(" "), did_you_mean(word, known))
        })?;
    }
    let mut page = vec![];
    manual(command).render(&mut page).context("cannot write the manual page")?;
    output::print(String::from_utf8_lossy(&page));
    Ok(())
}

/// Writes the manual pages of the program and all verbs into a folder.
pub(crate) fn write_manuals(folder: &Path) -> Result<(), Failure> {
    let write = || {
        std::fs::create_dir_all(folder)?;
        write_all(&program(), folder)
    };
    write().with_context(|| format!("{}: cannot write the manual pages there", folder.display()))?;
    Ok(())
}

/// The command line, including what clap adds.
fn program() -> Command {
    let mut program = cli::command().disable_help_subcommand(true);
    program.build();
    program
}

fn manual(command: &Command) -> Man {
    Man::new(command.clone()).source(concat!("sgdwalk ", env!("CARGO_PKG_VERSION")))
}

fn write_all(command: &Command, folder: &Path) -> std::io::Result<()> {
    manual(command).generate_to(folder)?;
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).try_for_each(|verb| write_all(verb, folder))
}
