//! Arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Trains a network with SGD and measures the loss surface it walks on.
#[derive(Debug, Parser)]
#[command(
    name = "runner",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 a run failed, 2 bad input.\n\
                  Example: cargo run -p runner -- experiments/quick.toml"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

/// What to run and how.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The experiment, a TOML file
    #[arg(required = true)]
    pub(crate) experiment: Option<PathBuf>,
    /// Run folder to make; it must not exist [default: runs/NAME, or the first free runs/NAME-2, ...]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Threads to use; they change no number [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// No progress bar
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// What to time.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// The experiment, a TOML file
    pub(crate) experiment: PathBuf,
    /// Training samples to evaluate
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) eval: usize,
    /// Repetitions; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) repeat: u16,
    /// Threads to use [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// One JSON line in place of the table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Commands besides running an experiment.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Time evaluation and training of an experiment's network on its data
    Bench(BenchArguments),
    /// Fetch data sets, or list them
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Print the tables of runs, made from their records
    Report {
        /// Run folders
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
    },
    /// List the plugins found, or one plugin's options
    Plugins {
        /// A plugin's crate name, its folder or its library
        name: Option<String>,
    },
}

/// What to do with data sets.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Fetch a set from where its authors publish it, checked; a broken download goes on where it left off
    Fetch {
        /// The set, as experiments name it
        name: String,
        /// Folder to put it in [default: data/NAME]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// A mirror: what comes before the files' names
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
    /// List the known sets, what is there, and where
    List {
        /// Folder whose subfolders hold the sets
        #[arg(long, value_name = "DIR", default_value = "data")]
        dir: PathBuf,
    },
}
