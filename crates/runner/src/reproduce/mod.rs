//! `runner reproduce`: runs the experiments of the paper's table and figures, and holds its claims against what they
//! measured.
#![expect(clippy::print_stdout, reason = "a command's output")]

mod exhibits;
mod plan;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::Table;
use walk_record::{RunFolder, Status, write_file};
use walk_report::claims_table;

use self::exhibits::{claims_of, measured};
use self::plan::Plan;
use crate::child::{Child, Jobs, run_all};
use crate::cli::ReproduceArguments;
use crate::failure::Failure;
use crate::report_command::print_tables;
use crate::report_files::write_report;
use crate::run_record::RunRecord;

/// Runs what is missing and prints the claims.
pub(crate) fn reproduce(arguments: &ReproduceArguments) -> Result<(), Failure> {
    let scale = arguments.scale.as_str();
    let out =
        arguments.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(format!("reproduce-{scale}")));
    let runs = out.join("runs");
    std::fs::create_dir_all(&runs).with_context(|| format!("{}: cannot be created", runs.display()))?;
    let finished = finished(&runs);
    let plan = Plan::read(&arguments.dir, &arguments.only, scale, &arguments.sets, &finished)?;
    let children = plan.runs.iter().map(|run| {
        let (out, file) = (runs.join(&run.name), runs.join(format!("{}.toml", run.name)));
        let config = if finished.iter().any(|(name, _)| *name == run.name) {
            // as it is written there: an earlier version may not have known every key
            RunFolder::open(&out)?.read_config()?
        } else {
            let config = run.config()?;
            write_file(&file, config.as_bytes())?;
            config
        };
        Ok(Child { name: run.name.clone(), out, arguments: vec![file.display().to_string()], config })
    });
    let children: Vec<Child> = children.collect::<Result<_>>()?;
    let exhibits = plan.exhibits.len();
    println!(
        "{exhibits} tables and figures at scale {scale} from {} runs, in {}",
        children.len(),
        out.display()
    );
    let ReproduceArguments { jobs, threads, quiet, .. } = *arguments;
    let ends = run_all(&children, Jobs { jobs, threads, quiet })?;
    write(&plan, &runs, &out, scale).map_err(Failure::Run)?;
    ends.result(&children)
}

/// Writes each table and figure into a folder of its name, and the claims and everything else into `out`; prints the claims.
fn write(plan: &Plan, runs: &Path, out: &Path, scale: &str) -> Result<()> {
    let measured = measured(plan, runs)?;
    for exhibit in measured.iter().filter(|exhibit| !exhibit.records.is_empty()) {
        write_report(&out.join(&exhibit.name), &exhibit.name, &exhibit.records, vec![])?;
    }
    let there = plan.runs.iter().map(|run| runs.join(&run.name)).filter(|path| RunFolder::open(path).is_ok());
    let label = |path: PathBuf| {
        let record = RunRecord::read(&path)?;
        Ok(RunRecord { label: record.info.name.clone(), ..record })
    };
    let records: Vec<RunRecord> = there.map(label).collect::<Result<_>>()?;
    let claims = claims_table(&claims_of(&measured));
    write_report(out, &format!("the paper at scale {scale}"), &records, claims.iter().cloned().collect())?;
    print_tables(claims.as_slice());
    println!("\nclaims, tables and figures are in {}; report.html has them all", out.display());
    Ok(())
}

/// The names of the finished runs in a folder and their configurations.
fn finished(runs: &Path) -> Vec<(String, Table)> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let config = |path: &PathBuf| {
        let folder = RunFolder::open(path).ok()?;
        let is_finished = folder.read_info().ok()?.status == Status::Finished;
        let text = folder.read_config().ok().filter(|_| is_finished)?;
        Some((path.file_name()?.to_string_lossy().into_owned(), toml::from_str(&text).ok()?))
    };
    paths.iter().filter_map(config).collect()
}
