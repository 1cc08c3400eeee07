//! `--sweep`, `--seeds`, and files with several members: experiments that differ in some values, each run by its own process
//! in its own folder.
#![expect(clippy::print_stdout, reason = "a command's output")]

mod grid;
mod plan;

use std::path::PathBuf;

use anyhow::Context;
use walk_record::RunFolder;

use crate::child::{PoolConfig, run_all};
use crate::failure::Failure;
use crate::prepare::prepare;
use crate::report_command::{OutputFormat, report};

pub(crate) use plan::{Base, Member, Plan};

/// Runs every member that has not been run, and prints the tables of all.
pub(crate) fn sweep(plan: &Plan, pool: PoolConfig, output: OutputFormat) -> Result<(), Failure> {
    // most errors show before anything is run, and the plugin is built only once
    prepare(&plan.members[0].source)?;
    let folder = &plan.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be created", folder.display()))?;
    let children = plan.children()?;
    let outcomes = run_all(&children, pool)?;
    let runs = children.iter().map(|child| child.out.clone());
    let runs: Vec<PathBuf> = runs.filter(|path| RunFolder::open(path).is_ok()).collect();
    if !runs.is_empty() {
        report(&runs, Some(&folder.join("report")), output)?;
    }
    if output == OutputFormat::Text {
        println!("\n{} of {} runs are in {}", runs.len(), children.len(), folder.display());
    }
    outcomes.result(&children)
}
