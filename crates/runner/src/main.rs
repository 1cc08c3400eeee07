//! The command line: reads an experiment, runs it, prints its tables.
//!
//! Exit codes: 0 done, 1 a run failed, 2 bad input.

mod bench_command;
mod cli;
mod data_command;
mod experiment;
mod failure;
mod plugin;
mod plugins_command;
mod prepare;
mod progress;
mod report_command;
mod run;
mod source;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Arguments, Command};

fn main() -> ExitCode {
    walk_core::keep_freed_memory();
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Some(Command::Plugins { name }) => plugins_command::list(name.as_deref()),
        Some(Command::Bench(arguments)) => bench_command::bench(&arguments),
        Some(Command::Report { runs }) => report_command::report(&runs),
        Some(Command::Data { command }) => data_command::data(&command),
        None => run::run(&arguments.run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
