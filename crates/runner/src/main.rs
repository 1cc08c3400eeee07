//! The program `sgdwalk`: parses the command line and hands it to the command it names.
//!
//! Exit codes: 0 done, 1 a run failed, 2 bad input, 3 stopped by a signal after a checkpoint, 130 ended at once by a second
//! signal.

mod bench_command;
mod check;
mod child;
mod cli;
mod data_command;
mod device;
mod digest;
mod experiment;
mod experiment_source;
mod failure;
mod footprint;
mod fork;
mod help_command;
mod hints;
mod installation;
mod interrupt;
mod keys_command;
mod live_report;
mod new_plugin;
mod output;
mod plugin;
mod plugins_command;
mod prepare;
mod process_group;
mod progress;
mod recorder;
mod report_command;
mod report_place;
mod reproduce;
mod resume;
mod run;
mod run_command;
mod schema_keys;
mod selfcheck_command;
mod sweep;
mod sweep_folder;
mod timing;
mod wording;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::anyhow;

use crate::cli::Verb;
use crate::failure::Failure;

fn main() -> ExitCode {
    walk_core::keep_freed_memory();
    match parse().and_then(dispatch).and_then(|()| output::check().map_err(Failure::Run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Parses the command line; prints help, and errors for which there is no hint, by itself.
fn parse() -> Result<Verb, Failure> {
    let words: Vec<OsString> = std::env::args_os().collect();
    Verb::parse(&words).map_err(|error| match hints::for_arguments(&words[1..], &error) {
        Some(hint) => anyhow!(hint).into(),
        None => error.exit(),
    })
}

fn dispatch(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Run(arguments) => run_command::run(&arguments),
        Verb::Check { plan, threads } => check::check(&plan, threads),
        Verb::Resume { run, epochs, options } => run_command::resume(&run, epochs, options),
        Verb::Fork(arguments) => run_command::fork(&arguments),
        Verb::Report(arguments) => report_command::report(&arguments),
        Verb::Export { runs, out } => report_command::export(&runs, &out),
        Verb::Reproduce(arguments) => reproduce::reproduce(&arguments),
        Verb::Bench(arguments) => bench_command::bench(&arguments),
        Verb::SelfCheck(arguments) => selfcheck_command::selfcheck(&arguments),
        Verb::Data { command } => data_command::data(&command),
        Verb::Plugins(arguments) => plugins_command::describe(&arguments),
        Verb::NewPlugin { name, dir } => new_plugin::write(&name, dir),
        Verb::Keys { rows: false } => print(keys_command::keys()?),
        Verb::Keys { rows: true } => print(keys_command::rows()?),
        Verb::Glossary => print(walk_report::glossary_markdown()),
        Verb::Completions { shell } => help_command::completions(shell),
        Verb::Man { out: Some(folder), .. } => help_command::write_manuals(&folder),
        Verb::Man { verb, out: None } => help_command::print_manual(&verb),
    }
}

fn print(text: String) -> Result<(), Failure> {
    output::print(text);
    Ok(())
}
