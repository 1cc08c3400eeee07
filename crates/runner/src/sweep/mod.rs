//! `--sweep`, `--seeds`, and files with several members: experiments that differ in some values, each run by its own process
//! in its own folder.
#![expect(clippy::print_stdout, reason = "a command's output")]

mod grid;
mod plan;

use std::path::PathBuf;

use anyhow::Context;
use walk_record::RunFolder;

use crate::child::{PoolConfig, run_all};
use crate::cli::{ReportArguments, RunOptions};
use crate::failure::Failure;
use crate::prepare::prepare;
use crate::report_command::report;

pub(crate) use plan::{Base, Member, Plan};

/// Runs every member that has not been run, and prints the tables of all.
pub(crate) fn sweep(plan: &Plan, jobs: u16, options: RunOptions) -> Result<(), Failure> {
    // most errors show before anything is run, and the plugin is built only once
    prepare(&plan.members[0].source)?.warn();
    let folder = &plan.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be created", folder.display()))?;
    let children = plan.children()?;
    let RunOptions { threads, quiet, json } = options;
    let outcome = run_all(&children, PoolConfig { jobs, threads, quiet });
    let runs = children.iter().map(|child| child.out.clone());
    let runs: Vec<PathBuf> = runs.filter(|path| RunFolder::open(path).is_ok()).collect();
    let n_runs = runs.len();
    if n_runs > 0 {
        report(&ReportArguments { runs, out: Some(folder.join("report")), json })?;
    }
    if !json {
        println!("\n{n_runs} of {} runs are in {}", children.len(), folder.display());
    }
    outcome
}
