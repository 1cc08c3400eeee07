//! `sgdwalk EXPERIMENT.toml`, `sgdwalk resume RUN` and `sgdwalk fork RUN@STEP`.

use anyhow::anyhow;

use crate::check;
use crate::child::PoolConfig;
use crate::cli::{
    DisplayArguments, ForkArguments, ResumeArguments, RunArguments, SweepArguments, ThreadArguments,
};
use crate::experiment_source::{ExperimentSource, Selection};
use crate::failure::Failure;
use crate::hints;
use crate::process_group::ProcessGroup;
use crate::resume::open_run;
use crate::run::{self, Origin, RunRequest};
use crate::sweep::{Base, Plan, sweep};

/// Runs an experiment, or all members of a sweep.
pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let RunArguments { plan, display } = arguments;
    let experiment = &plan.experiment;
    if let Some(hint) = hints::for_path(&experiment.path) {
        return Err(anyhow!(hint).into());
    }
    let (base, out) = (Base::File(experiment), plan.out.out.as_deref());
    if plan.print_config {
        return check::print_config(&Plan::read(base, &plan.sweep, out)?);
    }
    if base.is_sweep(&plan.sweep)? {
        return sweep(
            &Plan::read(base, &plan.sweep, out)?,
            pool(&plan.sweep, plan.threads, display),
            display.json.format(),
        );
    }
    let source = ExperimentSource::read(&experiment.path, experiment.selection(), &experiment.set.values)?;
    run_one(RunRequest {
        source,
        origin: Origin::New,
        out: plan.out.out.clone(),
        threads: plan.threads.threads,
        quiet: display.quiet.quiet,
        output: display.json.format(),
    })
}

/// Resumes a run in its folder.
pub(crate) fn resume(arguments: &ResumeArguments) -> Result<(), Failure> {
    let ResumeArguments { run, threads, display } = arguments;
    run_one(RunRequest {
        source: ExperimentSource::read(&open_run(run)?.config_path(), Selection::default(), &[])?,
        origin: Origin::Resume(run.clone()),
        out: None,
        threads: threads.threads,
        quiet: display.quiet.quiet,
        output: display.json.format(),
    })
}

/// Starts a run from a checkpoint of another one, or all members of a sweep of such runs.
pub(crate) fn fork(arguments: &ForkArguments) -> Result<(), Failure> {
    let ForkArguments { point, set, sweep: axes, out, threads, display } = arguments;
    let base = Base::Fork { point, sets: &set.values };
    if base.is_sweep(axes)? {
        let plan = Plan::read(base, axes, out.out.as_deref())?;
        return sweep(&plan, pool(axes, *threads, display), display.json.format());
    }
    run_one(RunRequest {
        source: point.experiment_source(&set.values)?,
        origin: Origin::Fork { point: point.clone(), changes: set.values.clone() },
        out: out.out.clone(),
        threads: threads.threads,
        quiet: display.quiet.quiet,
        output: display.json.format(),
    })
}

fn pool(sweep: &SweepArguments, threads: ThreadArguments, display: &DisplayArguments) -> PoolConfig {
    PoolConfig { jobs: sweep.jobs.jobs, threads: threads.threads, quiet: display.quiet.quiet }
}

/// Makes a run in this process and those that share it.
fn run_one(mut request: RunRequest) -> Result<(), Failure> {
    let group = ProcessGroup::join()?;
    request.quiet |= !group.leads();
    let result = run::run(&request, &group);
    // all ranks end a stopped run alike; after any other failure of one the others would wait for it
    if let Err(failure @ (Failure::Run(_) | Failure::Input(_))) = &result {
        failure.print();
        group.end(failure.exit_code());
        std::process::exit(failure.exit_code().into());
    }
    result
}
