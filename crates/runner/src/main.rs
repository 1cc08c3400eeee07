//! The program `sgdwalk`: parses the command line and hands it to the command it names.
//!
//! Exit codes: 0 done, 1 a run failed, 2 bad input, 3 stopped by a signal after a checkpoint, 130 ended at once by a second
//! signal.

mod bench_command;
mod check;
mod child;
mod cli;
mod data_command;
mod experiment;
mod experiment_source;
mod failure;
mod fork;
mod help_command;
mod hints;
mod interrupt;
mod keys_command;
mod new_plugin;
mod plugin;
mod plugins_command;
mod prepare;
mod process_group;
mod progress;
mod recorder;
mod report_command;
mod reproduce;
mod resume;
mod run;
mod run_command;
mod sweep;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::anyhow;

use crate::cli::{Action, Verb};
use crate::failure::Failure;

fn main() -> ExitCode {
    // `sgdwalk report RUN | head` ends quietly, as other programs do; a run writes its files before it prints
    sigpipe::reset();
    walk_core::keep_freed_memory();
    match parse().and_then(|action| dispatch(&action)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Parses the command line; prints help, and errors about which there is nothing to add, by itself.
fn parse() -> Result<Action, Failure> {
    let words: Vec<OsString> = std::env::args_os().collect();
    Action::parse(&words).map_err(|error| {
        let words: Vec<String> = words[1..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
        match hints::for_arguments(&words, &error) {
            Some(hint) => anyhow!(hint).into(),
            None => error.exit(),
        }
    })
}

fn dispatch(action: &Action) -> Result<(), Failure> {
    let verb = match action {
        Action::Run(arguments) => return run_command::run(arguments),
        Action::Verb(verb) => verb,
    };
    match verb {
        Verb::Check(arguments) => check::check(arguments),
        Verb::Resume(arguments) => run_command::resume(arguments),
        Verb::Fork(arguments) => run_command::fork(arguments),
        Verb::Report(arguments) => {
            report_command::report(&arguments.runs, arguments.out.as_deref(), arguments.json.format())
        }
        Verb::Reproduce(arguments) => reproduce::reproduce(arguments),
        Verb::Bench(arguments) => bench_command::bench(arguments),
        Verb::Data { command } => data_command::data(command),
        Verb::Plugins { name } => plugins_command::list(name.as_deref()),
        Verb::NewPlugin { name, dir } => new_plugin::write(name, dir.as_deref()),
        Verb::Keys { rows: false } => keys_command::keys(),
        Verb::Keys { rows: true } => keys_command::rows(),
        Verb::Completions { shell } => help_command::completions(*shell),
        Verb::Man { out: Some(folder), .. } => help_command::write_manuals(folder),
        Verb::Man { verb, out: None } => help_command::print_manual(verb),
    }
}
