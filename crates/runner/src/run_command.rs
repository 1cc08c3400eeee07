//! `sgdwalk EXPERIMENT.toml`, `sgdwalk resume RUN` and `sgdwalk fork RUN@STEP`.

use std::path::Path;

use crate::check::check;
use crate::cli::{ForkArguments, RunArguments, RunOptions, SweepArguments};
use crate::experiment_source::Setting;
use crate::failure::Failure;
use crate::process_group::ProcessGroup;
use crate::resume::experiment_source;
use crate::run::{self, Folder, RunRequest};
use crate::sweep::{Base, Plan, sweep};

/// Runs an experiment, or all members of a sweep.
pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let RunArguments { plan, options } = arguments;
    if plan.print_config {
        return check(plan, options.threads);
    }
    start(&Base::file(&plan.experiment)?, &plan.sweep, *options)
}

/// Starts a run from a checkpoint of another one, or all members of a sweep of such runs.
pub(crate) fn fork(arguments: &ForkArguments) -> Result<(), Failure> {
    let ForkArguments { point, settings, sweep, options } = arguments;
    start(&Base::fork(point, settings)?, sweep, *options)
}

fn start(base: &Base<'_>, arguments: &SweepArguments, options: RunOptions) -> Result<(), Failure> {
    if base.is_sweep(arguments)? {
        return sweep(&Plan::read(base, arguments)?, arguments.jobs, options);
    }
    let folder = Folder::New { out: arguments.out.clone(), fork: base.fork_info(&[]) };
    run_one(RunRequest { source: base.experiment_source()?, folder, options })
}

/// Resumes a run in its folder.
pub(crate) fn resume(run: &Path, epochs: Option<u32>, options: RunOptions) -> Result<(), Failure> {
    let change = epochs.map(|epochs| format!("epochs={epochs}").parse::<Setting>()).transpose()?;
    let changes: Vec<Setting> = change.into_iter().map(|setting| setting.of_option("--epochs")).collect();
    let source = experiment_source(run, &changes)?;
    run_one(RunRequest { source, folder: Folder::Resumed(run.into()), options })
}

/// Executes a run in this process and those that share it.
fn run_one(mut request: RunRequest) -> Result<(), Failure> {
    let group = ProcessGroup::join()?;
    request.options.quiet |= !group.leads();
    let result = run::run(&request, &group);
    // all ranks end a stopped run by themselves; after any other failure of one, the others would wait for it
    if let Err(failure @ (Failure::Run(_) | Failure::Input(_))) = &result {
        failure.print();
        group.end(failure.exit_code());
        std::process::exit(failure.exit_code().into());
    }
    result
}
