//! The arguments of the command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, FromArgMatches, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use walk_core::DeviceName;
use walk_report::FigureWidth;

use crate::experiment::SEEDS;
use crate::experiment_source::{Selection, Setting};
use crate::fork::ForkPoint;
use crate::installation;

const AFTER_HELP: &str = include_str!("after_help.txt");

// help texts of options shared by several verbs
const SET: &str = "Override a value of the experiment, e.g. optim.lr=0.2; repeatable";
const JOBS: &str = "Number of runs to execute in parallel; they share the threads";
const THREADS: &str = "Number of threads; it does not affect results [default: all cores]";
const QUIET: &str = "Do not show progress";
const VERBOSE: &str = "Print every table in full";
const JSON: &str = "Print JSON, one line per run, instead of tables";

/// What to do, as parsed from the command line.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    // no verb, only a path
    #[command(skip)]
    Run(RunArguments),
    /// Check an experiment or a sweep and estimate its time, memory and disk space, without running it
    Check {
        #[command(flatten)]
        plan: PlanArguments,
        #[arg(long, value_name = "N", help = THREADS, value_parser = clap::value_parser!(u16).range(1..))]
        threads: Option<u16>,
    },
    /// Resume a run that was stopped or killed, in its folder
    Resume {
        /// Run folder
        run: PathBuf,
        /// Train up to this epoch instead of the experiment's last one; this also extends a finished run
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        epochs: Option<u32>,
        #[command(flatten)]
        options: RunOptions,
    },
    /// Start a new run from a checkpoint of another one
    Fork(ForkArguments),
    /// Compare runs: print their tables and write tables, figures and a report page, all from the records
    Report(ReportArguments),
    /// Write the records of runs as CSV, one file per kind of row, with each row's configuration in extra columns
    Export {
        /// Run folders; a sweep folder stands for all of its runs
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
        /// Folder to write the files to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Run the experiments of the paper's table and figures, or of other publications, and test their claims; repeat to resume
    Reproduce(ReproduceArguments),
    /// Time evaluation and training of an experiment's network on its data
    Bench(BenchArguments),
    /// Compare every layer and network on a device with an f64 reference; exit code 1 if an error exceeds its bound
    #[command(name = "selfcheck")]
    SelfCheck(SelfCheckArguments),
    /// Download data sets, or list them
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// List the available plugins, or the options of one
    Plugins(PluginArguments),
    /// Create a plugin crate to start from; it builds and has a test
    NewPlugin {
        /// Name of the crate and its folder
        name: String,
        /// Folder to create it in [default: plugins in this workspace, else the current folder]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the reference of all keys of an experiment file, as Markdown
    Keys {
        /// Print the reference of the rows of metrics.jsonl instead
        #[arg(long)]
        rows: bool,
    },
    /// Print what the terms in tables and figures mean, as Markdown
    Glossary,
    /// Print a completion script for a shell
    Completions {
        /// Shell to generate the script for
        shell: Shell,
    },
    /// Print a manual page, or write all of them to a folder
    Man {
        /// Verb to describe, as in `man fork` or `man data fetch` [default: the program]
        #[arg(value_name = "VERB", conflicts_with = "out")]
        verb: Vec<String>,
        /// Folder to write sgdwalk.1, sgdwalk-check.1, ... to
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

impl Verb {
    /// Parses the words of the command line, the program's name first.
    pub(crate) fn parse(words: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = command();
        let matches = command.try_get_matches_from_mut(words)?;
        let verb = match matches.subcommand_name() {
            Some(_) => Self::from_arg_matches(&matches),
            None => RunArguments::from_arg_matches(&matches).map(Self::Run),
        };
        verb.map_err(|error| error.format(&mut command))
    }
}

/// The whole command line, for parsing, completions and manual pages.
pub(crate) fn command() -> clap::Command {
    let command = RunArguments::augment_args(clap::Command::new("sgdwalk"));
    Verb::augment_subcommands(command)
        .about("Train a network with SGD and measure the loss surface along its path")
        .version(env!("CARGO_PKG_VERSION"))
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .arg_required_else_help(true)
        .subcommand_help_heading("Verbs")
        .subcommand_value_name("VERB")
        .after_help(AFTER_HELP)
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) plan: PlanArguments,
    #[command(flatten)]
    pub(crate) options: RunOptions,
}

/// Arguments of runs that start from an experiment file.
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) experiment: ExperimentArguments,
    #[command(flatten)]
    pub(crate) sweep: SweepArguments,
    /// Print the experiment with all defaults filled in, and run nothing
    #[arg(long)]
    pub(crate) print_config: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExperimentArguments {
    /// Experiment file (TOML)
    #[arg(value_name = "EXPERIMENT", value_parser = installed)]
    pub(crate) path: PathBuf,
    /// Scale to use, one of the file's [scale.NAME] sections, such as quick
    #[arg(long, value_name = "NAME")]
    pub(crate) scale: Option<String>,
    /// Member to use, one of the file's [member.NAME] sections [default: all, where the verb takes several]
    #[arg(long, value_name = "NAME")]
    pub(crate) member: Option<String>,
    #[arg(long = "set", value_name = "KEY=VALUE", help = SET)]
    pub(crate) settings: Vec<Setting>,
}

impl ExperimentArguments {
    /// Which experiment of the file the arguments select.
    pub(crate) fn selection(&self) -> Selection<'_> {
        Selection { scale: self.scale.as_deref(), member: self.member.as_deref() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    /// Run once for each value: a list 0.1,0.2, a range 1..=5, or first:last:step; several sweeps form a grid
    #[arg(long = "sweep", value_name = "KEY=VALUES")]
    pub(crate) axes: Vec<String>,
    /// Run with N consecutive seeds, starting with the experiment's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(SEEDS))]
    pub(crate) seeds: Option<u32>,
    #[arg(long, value_name = "N", help = JOBS, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    /// Folder to create for the run, or to hold the runs of a sweep [default: runs/NAME or the first free runs/NAME-2, ...;
    /// for a sweep runs/NAME.sweep or runs/NAME-2.sweep, ...]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// How to run, and what to print.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RunOptions {
    #[arg(long, value_name = "N", help = THREADS, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    #[arg(long, help = QUIET)]
    pub(crate) quiet: bool,
    #[arg(long, help = VERBOSE)]
    pub(crate) verbose: bool,
    #[arg(long, help = JSON)]
    pub(crate) json: bool,
    /// Stop after the current update as soon as standard input ends.
    #[arg(long, hide = true)]
    pub(crate) until_input_ends: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ForkArguments {
    /// Run folder and number of updates after which to branch off; the run must have a checkpoint there
    #[arg(value_name = "RUN@STEP")]
    pub(crate) point: ForkPoint,
    #[arg(long = "set", value_name = "KEY=VALUE", help = SET)]
    pub(crate) settings: Vec<Setting>,
    #[command(flatten)]
    pub(crate) sweep: SweepArguments,
    #[command(flatten)]
    pub(crate) options: RunOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Run folders; a sweep folder stands for all of its runs
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Compare by this key of the experiment, e.g. optim.lr or lr; runs with the same values of all such keys are averaged
    /// [default: all keys in which the runs differ, except the seed]
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub(crate) by: Vec<String>,
    /// Folder for tables, figures and the report page [default: the run's folder or the sweep's report folder; for several runs,
    /// nothing is written]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Draw figures at the text width of a two-column paper (178 mm) instead of the width of one column (84 mm)
    #[arg(long)]
    pub(crate) wide: bool,
    #[arg(long, help = VERBOSE)]
    pub(crate) verbose: bool,
    #[arg(long, help = JSON)]
    pub(crate) json: bool,
}

impl ReportArguments {
    /// How wide figures are drawn.
    pub(crate) const fn width(&self) -> FigureWidth {
        if self.wide { FigureWidth::Page } else { FigureWidth::Column }
    }
}

/// A set of experiments with claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    // comments on values would make the whole help longer
    Paper,
    Later,
    All,
}

impl Suite {
    /// The folders of its experiments, the paper's first.
    pub(crate) fn folders(self) -> Vec<PathBuf> {
        let names: &[&str] = match self {
            Self::Paper => &["experiments"],
            Self::Later => &["experiments/later"],
            Self::All => &["experiments", "experiments/later"],
        };
        names.iter().map(|name| installation::find(Path::new(name))).collect()
    }

    /// The folder for its runs and results by default.
    pub(crate) fn out(self, scale: &str) -> PathBuf {
        let name = match self {
            Self::Paper => format!("reproduce-{scale}"),
            Self::Later => format!("reproduce-later-{scale}"),
            Self::All => format!("reproduce-all-{scale}"),
        };
        Path::new("runs").join(name)
    }

    /// What its experiments show.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Paper => "Reproduction of the paper",
            Self::Later => "Results from other publications",
            Self::All => "Reproduction of the paper and of other publications",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReproduceArguments {
    /// What to reproduce: the paper's table and figures, results from other publications, or both with one table of claims
    #[arg(long, value_name = "SUITE", default_value = "paper")]
    pub(crate) suite: Suite,
    /// Scale: full (the publications' settings), cpu (paper suite only, many hours on two cores) or quick (half an hour)
    #[arg(long, value_name = "SCALE", default_value = "quick")]
    pub(crate) scale: String,
    /// Tables, figures or results to reproduce, e.g. table1,fig05,fig07a or noise-scale [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Run each experiment with N consecutive seeds, starting with its own [default: the experiment's `reproduce_seeds`; of the
    /// paper's, 3 at scale quick, 5 at cpu, 1 at full]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(SEEDS))]
    pub(crate) seeds: Option<u32>,
    /// Folder with the experiments: table*.toml and fig*.toml or, for other suites, any *.toml [default: experiments,
    /// experiments/later]
    #[arg(long, value_name = "DIR", value_parser = installed)]
    pub(crate) dir: Option<PathBuf>,
    /// Folder for runs, tables, figures and claims [default: runs/reproduce-SCALE, for other suites
    /// runs/reproduce-SUITE-SCALE]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[arg(long = "set", value_name = "KEY=VALUE", help = SET)]
    pub(crate) settings: Vec<Setting>,
    #[arg(long, value_name = "N", help = JOBS, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    #[arg(long, value_name = "N", help = THREADS, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    #[arg(long, help = QUIET)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    pub(crate) experiment: ExperimentArguments,
    /// Number of training samples to evaluate [default: those that take about a second]
    #[arg(long, value_name = "N")]
    pub(crate) eval: Option<usize>,
    /// Number of repetitions; medians are reported
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) repeat: u16,
    #[arg(long, value_name = "N", help = THREADS, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    #[arg(long, help = JSON)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SelfCheckArguments {
    /// Device, named as in experiments
    #[arg(long, value_name = "NAME", default_value = "cpu", value_parser = device_name)]
    pub(crate) device: DeviceName,
    /// Check only the layers and these plugins (crate name, folder or library) [default: all plugins]
    #[arg(long, value_name = "PLUGIN")]
    pub(crate) only: Vec<String>,
    #[arg(long, value_name = "N", help = THREADS, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
}

/// The path itself, or the file of that name that was installed with the program.
#[allow(clippy::unnecessary_wraps, reason = "clap's parsers may fail")]
fn installed(text: &str) -> Result<PathBuf, std::convert::Infallible> {
    Ok(installation::find(Path::new(text)))
}

fn device_name(text: &str) -> Result<DeviceName, serde::de::value::Error> {
    DeviceName::deserialize(text.into_deserializer())
}

/// What to do with data sets.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Download a data set from its publisher and verify it; an interrupted download is resumed
    Fetch {
        /// Name of the data set, as in experiments
        name: String,
        /// Folder to put it in [default: $SGDWALK_DATA/NAME, or data/NAME if that is not set]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Base URL of a mirror; file names are appended to it
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
    /// List the known data sets, whether they are present, and where
    List {
        /// Folder whose subfolders contain the data sets [default: $SGDWALK_DATA, or data if that is not set]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// What `plugins` shows.
#[derive(Debug, Args)]
pub(crate) struct PluginArguments {
    /// Crate name, folder or library of a plugin
    pub(crate) name: Option<String>,
    /// Set an option of the plugin, as in file=net.onnx, and show the network layer by layer; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "name")]
    pub(crate) settings: Vec<Setting>,
    /// Shape of the images
    #[arg(long, value_name = "CxHxW", default_value = "3x32x32", requires = "name")]
    pub(crate) input: ImageShape,
    /// Number of classes
    #[arg(long, value_name = "N", default_value_t = 10, requires = "name")]
    pub(crate) classes: usize,
    /// Show the network layer by layer
    #[arg(long, requires = "name")]
    pub(crate) layers: bool,
}

/// The shape of images: `3x32x32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageShape(pub(crate) Vec<usize>);

impl FromStr for ImageShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let dims: Option<Vec<usize>> = text.split('x').map(|dim| dim.parse().ok()).collect();
        let dims = dims.filter(|dims| dims.iter().all(|&dim| dim > 0));
        dims.map(Self).ok_or_else(|| "expected numbers with an x between them, as in 3x32x32".into())
    }
}

impl std::fmt::Display for ImageShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dims: Vec<String> = self.0.iter().map(usize::to_string).collect();
        write!(f, "{}", dims.join("x"))
    }
}
