//! Arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::source::{Selection, Setting};

const EXAMPLES: &str = "\
Examples:
  runner experiments/quick.toml                       run an experiment
  runner exp.toml --set optim.lr=0.2 --out runs/fast  with a value of its own
  runner exp.toml --sweep optim.lr=0.1,0.2 --seeds 3  six runs in one folder
  runner --resume runs/quick                          go on with a run that was stopped
  runner --fork runs/quick@700 --set optim.lr=0.01    branch off from a checkpoint

Exit codes:
  0  done
  1  a run failed; what it measured is kept
  2  bad input; nothing was run
  3  stopped by Ctrl-C or SIGTERM after writing a checkpoint
  130  stopped at once by a second Ctrl-C";

/// Trains a network with SGD and measures the loss surface it walks on.
#[derive(Debug, Parser)]
#[command(
    name = "runner",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = EXAMPLES
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
    #[arg(required_unless_present_any = ["resume", "fork"])]
    pub(crate) experiment: Option<PathBuf>,
    /// Which of the file's scales to run, as in quick; what the file says of it comes on top
    #[arg(long, value_name = "NAME", conflicts_with_all = ["resume", "fork"])]
    pub(crate) scale: Option<String>,
    /// Which of the file's members to run, where it has several [default: all, each in a folder of its own]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["resume", "fork"])]
    pub(crate) member: Option<String>,
    /// Set a value of the experiment, as in optim.lr=0.2; may come several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) sets: Vec<Setting>,
    /// Run the experiment once for each value: a list 0.1,0.2, a range 1..=5, or first:last:step; several make a grid
    #[arg(long = "sweep", value_name = "KEY=VALUES", conflicts_with_all = ["resume", "fork"])]
    pub(crate) sweeps: Vec<String>,
    /// Run it with so many seeds, the experiment's and those after it
    #[arg(long, value_name = "N", conflicts_with_all = ["resume", "fork"], value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seeds: Option<u32>,
    /// Runs of a sweep at a time; they share the threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    /// Run folder to make; it must not exist [default: runs/NAME, or the first free runs/NAME-2, ...]
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with a run that was stopped or killed, in its folder
    #[arg(long, value_name = "RUN", conflicts_with_all = ["experiment", "sets"])]
    pub(crate) resume: Option<PathBuf>,
    /// Branch off from another run's checkpoint after STEP updates; --set changes its experiment
    #[arg(long, value_name = "RUN@STEP", conflicts_with_all = ["experiment", "resume"])]
    pub(crate) fork: Option<String>,
    /// Say what would be run and how long it would take, from a short measurement, and run nothing
    #[arg(long, conflicts_with_all = ["resume", "fork"])]
    pub(crate) dry_run: bool,
    /// Print the experiment with every default filled in, and run nothing
    #[arg(long, conflicts_with_all = ["resume", "fork"])]
    pub(crate) print_config: bool,
    /// Threads to use; they change no number [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// No progress bar
    #[arg(long)]
    pub(crate) quiet: bool,
    /// One JSON line per run in place of tables
    #[arg(long)]
    pub(crate) json: bool,
}

impl RunArguments {
    /// Which of the file's experiments they name.
    pub(crate) fn selection(&self) -> Selection<'_> {
        Selection { scale: self.scale.as_deref(), member: self.member.as_deref() }
    }
}

fn setting(text: &str) -> Result<Setting, String> {
    Setting::parse(text).map_err(|error| error.to_string())
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

/// What of the paper to reproduce and how.
#[derive(Debug, Args)]
pub(crate) struct ReproduceArguments {
    /// full: the paper's settings; cpu: hours on two cores; quick: minutes
    #[arg(long, value_name = "SCALE", default_value = "quick")]
    pub(crate) scale: String,
    /// Only these tables and figures, as in table1,fig05,fig07a
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Folder with their experiments, table*.toml and fig*.toml
    #[arg(long, value_name = "DIR", default_value = "experiments")]
    pub(crate) dir: PathBuf,
    /// Folder for runs, tables, figures and claims [default: runs/reproduce-SCALE]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Set a value of every experiment, as in seed=7; may come several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) sets: Vec<Setting>,
    /// Runs at a time; they share the threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    /// Threads to use; they change no number [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Do not say how each run ended
    #[arg(long)]
    pub(crate) quiet: bool,
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
    /// Print the tables of runs and write them and the figures, all made from the records
    Report {
        /// Run folders
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
        /// Folder for tables and figures [default: the run's, if there is one run]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// One JSON line per run in place of tables
        #[arg(long)]
        json: bool,
    },
    /// Run the experiments of the paper's table and figures and hold its claims against what they measured; the same command
    /// goes on where it stopped
    Reproduce(ReproduceArguments),
    /// List the plugins found, or one plugin's options
    Plugins {
        /// A plugin's crate name, its folder or its library
        name: Option<String>,
    },
    /// Write a plugin crate to start from, which builds and has a test
    NewPlugin {
        /// Its name, that of the folder too
        name: String,
        /// Folder to put it in [default: plugins where there is one, else here]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the reference of every key of an experiment file, as Markdown
    Keys,
    /// Print the manual page
    Man,
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
