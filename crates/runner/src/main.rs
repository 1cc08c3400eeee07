//! The command line: reads an experiment, runs it, prints its tables.
//!
//! Exit codes: 0 done, 1 a run failed, 2 bad input, 3 stopped by a signal after a checkpoint.

mod bench_command;
mod child;
mod cli;
mod data_command;
mod dry_run;
mod experiment;
mod failure;
mod help_command;
mod interrupt;
mod job;
mod keys_command;
mod new_plugin;
mod plugin;
mod plugins_command;
mod prepare;
mod progress;
mod recorder;
mod report_command;
mod report_files;
mod reproduce;
mod resume;
mod run;
mod run_record;
mod source;
mod sweep;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::cli::{Arguments, Command, RunArguments};
use crate::failure::Failure;
use crate::job::Job;
use crate::report_command::Output;
use crate::resume::Origin;
use crate::run::RunRequest;
use crate::source::{Selection, Source};

fn main() -> ExitCode {
    // `runner report RUN | head` ends quietly, as other programs do; what a run leaves is written before it prints
    sigpipe::reset();
    walk_core::keep_freed_memory();
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Some(Command::Plugins { name }) => plugins_command::list(name.as_deref()),
        Some(Command::NewPlugin { name, dir }) => new_plugin::write(&name, dir.as_deref()),
        Some(Command::Bench(arguments)) => bench_command::bench(&arguments),
        Some(Command::Report { runs, out, json }) => {
            report_command::report(&runs, out.as_deref(), output(json))
        }
        Some(Command::Reproduce(arguments)) => reproduce::reproduce(&arguments),
        Some(Command::Data { command }) => data_command::data(&command),
        Some(Command::Completions { shell }) => help_command::completions(shell),
        Some(Command::Keys) => keys_command::keys(),
        Some(Command::Man) => help_command::manual(),
        None => run_experiment(&arguments.run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn say(failure: &Failure) {
    match failure {
        Failure::Silent => {}
        Failure::Stopped(_) => eprintln!("{failure}"),
        Failure::Input(_) | Failure::Run(_) => eprintln!("error: {failure}"),
    }
}

fn output(json: bool) -> Output {
    if json { Output::Json } else { Output::Text }
}

fn run_experiment(arguments: &RunArguments) -> Result<(), Failure> {
    let (source, origin) = if let Some(run) = &arguments.resume {
        (Source::read(&run.join("config.toml"), Selection::default(), &[])?, Origin::Resume(run.clone()))
    } else if let Some(fork) = &arguments.fork {
        let origin = Origin::fork(fork, &arguments.sets)?;
        let Origin::Fork { run, .. } = &origin else { unreachable!("that is what it makes") };
        (Source::read(&run.join("config.toml"), Selection::default(), &arguments.sets)?, origin)
    } else {
        let path = arguments.experiment.as_deref().context("no experiment was named")?;
        if !path.exists()
            && let Some(command) = help_command::nearest_command(path)
        {
            let error =
                format!("{}: no such experiment; did you mean the command `{command}`?", path.display());
            return Err(anyhow::Error::msg(error).into());
        }
        if arguments.print_config || arguments.dry_run {
            return dry_run::look(path, arguments);
        }
        let every_member = arguments.member.is_none() && Source::members(path, None)? != [None];
        if every_member || !arguments.sweeps.is_empty() || arguments.seeds.is_some() {
            return sweep::sweep(path, arguments);
        }
        (Source::read(path, arguments.selection(), &arguments.sets)?, Origin::New)
    };
    let job = Job::join()?;
    let request = RunRequest {
        source,
        origin,
        out: arguments.out.clone(),
        threads: arguments.threads,
        quiet: arguments.quiet || !job.leads(),
        output: output(arguments.json),
    };
    let result = run::run(&request, &job);
    // all ranks end a stopped run alike; after any other failure of one the others would wait for it
    if let Err(failure @ (Failure::Run(_) | Failure::Input(_))) = &result {
        say(failure);
        let code = failure.exit_code();
        job.end(code);
        std::process::exit(code.into());
    }
    result
}
