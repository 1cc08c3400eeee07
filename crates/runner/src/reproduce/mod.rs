//! `sgdwalk reproduce`: runs the experiments of the paper's table and figures, or of later results, and tests their claims on
//! the measurements.

mod measured;
mod plan;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use walk_data::DataConfig;
use walk_record::{Run, RunFolder, Status, create_folder, write_file};
use walk_report::{Comparison, Exhibit, Extent, ReportConfig, claims, claims_table, counted, write_reports};

use self::measured::{MeasuredItem, measured};
use self::plan::{ReproductionPlan, SharedRun};
use crate::child::{Child, FolderState, PoolConfig, run_all};
use crate::cli::{ReproduceArguments, Suite};
use crate::experiment::Experiment;
use crate::failure::Failure;
use crate::output::{errln, outln, print_table};
use crate::sweep_folder::is_sweep;

/// Executes the missing runs and prints the claims.
pub(crate) fn reproduce(arguments: &ReproduceArguments) -> Result<(), Failure> {
    let ReproduceArguments { suite, scale, jobs, threads, quiet, .. } = arguments;
    let out = arguments.out.clone().unwrap_or_else(|| suite.out(scale));
    if RunFolder::is_at(&out) || is_sweep(&out) {
        return Err(
            anyhow!("{}: the folder of a run or a sweep; choose another with --out", out.display()).into()
        );
    }
    let runs = out.join("runs");
    create_folder(&runs)?;
    let plan = ReproductionPlan::read(arguments, &finished(&runs))?;
    let children = plan.runs.iter().map(|SharedRun { name, config, .. }| {
        let (out, file) = (runs.join(name), runs.join(format!("{name}.toml")));
        write_file(&file, config.as_bytes())?;
        let (name, config, arguments) = (name.clone(), config.clone(), vec![file.display().to_string()]);
        Ok(Child { name, out, arguments, config, fork: None })
    });
    let children: Vec<Child> = children.collect::<Result<_>>()?;
    let (n_items, n_runs) = (plan.items.len(), children.len());
    let items = match (suite, n_items) {
        (Suite::Paper, 1) => "1 table or figure".into(),
        (Suite::Paper, n) => format!("{n} tables and figures"),
        (_, n) => counted(n, "result"),
    };
    let n_runs = counted(n_runs, "run");
    check_data(&plan.runs, &children)?;
    outln!("{items} at scale {scale} from {n_runs}, in {}", out.display());
    let pool = PoolConfig { jobs: *jobs, threads: *threads, quiet: *quiet };
    let outcome = run_all(&children, pool, &|| {});
    let n_unreadable =
        write(&plan, &runs, &out, &format!("{} at scale {scale}", suite.title())).map_err(Failure::Run)?;
    outcome?;
    match n_unreadable {
        0 => Ok(()),
        n => Err(Failure::Run(anyhow!("{} could not be read", counted(n, "run")))),
    }
}

/// Reads each data set of the unfinished runs, so that a missing one is reported once and before anything is trained.
fn check_data(runs: &[SharedRun], children: &[Child]) -> Result<()> {
    let (mut read, mut errors) = (vec![], vec![]);
    for (SharedRun { experiment, .. }, child) in runs.iter().zip(children) {
        let data = &experiment.data;
        let is_read = read.iter().any(|known: &&DataConfig| known.is_read_like(data));
        if is_read || child.folder_state()? == FolderState::Finished {
            continue;
        }
        read.push(data);
        errors.extend(experiment.data.read().err().map(|error| format!("\n  {error}")));
    }
    match errors.len() {
        0 => Ok(()),
        n => Err(anyhow!("{} cannot be read:{}", counted(n, "data set"), errors.concat())),
    }
}

/// Writes each table and figure into a folder of its name, and the claims and a page with all figures into `out`; prints the claims.
/// Names the runs that cannot be read, and returns their number.
fn write(plan: &ReproductionPlan, runs: &Path, out: &Path, title: &str) -> Result<usize> {
    let mut n_unreadable = 0;
    let made = plan.runs.iter().map(|run| {
        let folder = RunFolder::open(&runs.join(&run.name)).ok()?;
        let read = Run::read(folder.path());
        if let Err(error) = &read {
            errln!("warning: left out: {error}");
            n_unreadable += 1;
        }
        let run = read.ok()?;
        if run.info.status != Status::Finished {
            let (run, status) = (run.path.display(), run.info.status);
            errln!("warning: left out: {run} is not finished ({status:?}); repeat the command to resume it");
            return None;
        }
        Some(run)
    });
    let made: Vec<Option<Run>> = made.collect();
    let items = measured(plan, &made);
    let exhibits: Vec<Exhibit<'_>> = items.iter().map(MeasuredItem::exhibit).collect();
    let claims = claims_table(&claims(&exhibits));
    let label = |run: Run| Run { label: run.info.name.clone(), ..run };
    let runs: Vec<Run> = made.into_iter().flatten().map(label).collect();
    let all = Comparison::apart(&runs);
    let measured = items.iter().filter(|item| !item.runs.is_empty());
    let parts: Vec<(&str, Comparison<'_>)> =
        measured.map(|item| (item.name.as_str(), Comparison::of(item.settings()))).collect();
    let config = ReportConfig { title, extra_tables: claims.as_slice(), ..ReportConfig::default() };
    write_reports(out, &parts, &all, &config)?;
    claims.iter().for_each(|table| print_table(table, Extent::Main));
    outln!(
        "\nclaims, tables and figures are in {}; report.html shows the claims and all figures",
        out.display()
    );
    Ok(n_unreadable)
}

/// The finished runs in a folder.
fn finished(runs: &Path) -> Vec<SharedRun> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let finished = |path: &PathBuf| {
        let folder = RunFolder::open(path).ok()?;
        let is_finished = folder.read_info().ok()?.status == Status::Finished;
        let experiment = Experiment::as_given(&folder).ok().filter(|_| is_finished)?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some(SharedRun { name, config: experiment.to_toml().ok()?, experiment })
    };
    paths.iter().filter_map(finished).collect()
}
