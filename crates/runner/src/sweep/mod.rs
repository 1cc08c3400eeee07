//! `--sweep`, `--seeds`, and files with several members: experiments that differ in some values, each run in its own process
//! and folder.

mod description;
mod grid;
mod plan;

use std::path::PathBuf;
use std::sync::Mutex;

use walk_record::RunFolder;
use walk_report::counted;

use crate::child::{PoolConfig, run_all};
use crate::cli::{ReportArguments, RunOptions};
use crate::failure::Failure;
use crate::live_report::LiveReport;
use crate::output::outln;
use crate::report_command::report_into;

pub(crate) use plan::{Base, Member, Plan};

/// Runs every member that has not been run, and prints the tables of all.
pub(crate) fn sweep(plan: &Plan, jobs: u16, options: RunOptions) -> Result<(), Failure> {
    // find most errors before anything is run, and build the plugin only once
    plan.check_members()?;
    let folder = &plan.folder;
    let children = plan.children()?;
    plan.check_folder()?;
    plan.description.write(folder)?;
    let RunOptions { threads, quiet, verbose, json, .. } = options;
    let made = || {
        let runs = children.iter().map(|child| child.out.clone());
        runs.filter(|path| RunFolder::open(path).is_ok()).collect::<Vec<PathBuf>>()
    };
    let live = Mutex::new(LiveReport::new(&folder.join("report"), &counted(children.len(), "run")));
    let outcome = run_all(&children, PoolConfig { jobs, threads, quiet }, &|| {
        live.lock().expect("no thread panics").write_if_due(made);
    });
    let runs = made();
    let n_runs = runs.len();
    let reported = match n_runs {
        0 => Ok(()),
        _ => {
            let arguments = ReportArguments { runs, by: vec![], out: None, wide: false, verbose, json };
            report_into(Some(&folder.join("report")), &arguments)
        }
    };
    if !json {
        let all = counted(children.len(), "run");
        outln!("\n{n_runs} of {all} {} in {}", if n_runs == 1 { "is" } else { "are" }, folder.display());
    }
    outcome.and(reported)
}
