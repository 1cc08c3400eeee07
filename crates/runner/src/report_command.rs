//! `sgdwalk report RUN...`, and the output when a run ends, made from records only.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use walk_record::{Run, RunFolder, Status, create_folder};
use walk_report::{
    Comparison, Extent, ReportConfig, conclusion, cost, counted, headline, summary_json, write_report,
};

use crate::cli::{ReportArguments, RunOptions};
use crate::experiment::Experiment;
use crate::failure::{Failure, chain};
use crate::output::{errln, outln, print_table, wrapped};
use crate::report_place;
use crate::resume::{experiment_source, open_run};
use crate::sweep_folder::{is_sweep, runs_of};
use crate::timing::unix_seconds;

/// Prints the tables of the runs, averaged over seeds, and writes tables, figures and the page: for one run into its folder, for
/// a sweep into its report folder, otherwise into `out` if given.
pub(crate) fn report(arguments: &ReportArguments) -> Result<(), Failure> {
    let own = match arguments.runs.as_slice() {
        [sweep] if is_sweep(sweep) => Some(sweep.join("report")),
        [run] => Some(run.clone()),
        _ => None,
    };
    if let Some(out) = &arguments.out {
        report_place::check(out, own.as_deref())?;
    }
    report_into(arguments.out.as_deref().or(own.as_deref()), arguments)
}

/// Prints the tables of the runs, averaged over seeds, and writes tables, figures and the page into `folder`, if any. If one of
/// several runs cannot be read, it is named and left out.
pub(crate) fn report_into(folder: Option<&Path>, arguments: &ReportArguments) -> Result<(), Failure> {
    let (runs, all_read) = read(&arguments.runs)?;
    if runs.is_empty() {
        return all_read;
    }
    let comparison = match arguments.by.as_slice() {
        [] => Comparison::new(&runs),
        keys => Comparison::by(&runs, keys).map_err(anyhow::Error::from)?,
    };
    let tables = match folder {
        Some(folder) => {
            create_folder(folder)?;
            let title = match runs.as_slice() {
                [run] => run.info.name.clone(),
                several => counted(several.len(), "run"),
            };
            let config = ReportConfig {
                title: &title,
                width: arguments.width(),
                written_unix_s: live(&runs),
                ..ReportConfig::default()
            };
            write_report(folder, &comparison, &config).map_err(Failure::run)?
        }
        None => comparison.all_tables(),
    };
    if arguments.json {
        for run in &runs {
            outln!("{}", summary_json(run)?);
        }
        return all_read;
    }
    match runs.as_slice() {
        [run] => outln!("{}\n{}; the run is in {}", headline(run), cost(run), run.path.display()),
        several => print_unfinished(several),
    }
    let extent = if arguments.verbose { Extent::All } else { Extent::Main };
    tables.iter().for_each(|table| print_table(table, extent));
    match folder {
        Some(folder) => outln!("\ntables, figures and report.html are in {}", folder.display()),
        None => outln!("\nno files were written; --out DIR writes tables, figures and report.html"),
    }
    all_read
}

/// `sgdwalk export RUN... --out DIR`: the records of runs as CSV.
pub(crate) fn export(paths: &[PathBuf], out: &Path) -> Result<(), Failure> {
    let (runs, all_read) = read(paths)?;
    create_folder(out)?;
    for (file, lines) in walk_report::export(&runs, out).map_err(Failure::run)? {
        outln!("{}: {}", out.join(file).display(), counted(lines, "line"));
    }
    all_read
}

/// The runs in folders of runs and of sweeps, labeled. If one of several cannot be read, it is named and left out, and the
/// second part says so.
fn read(paths: &[PathBuf]) -> Result<(Vec<Run>, Result<(), Failure>), Failure> {
    let paths = runs_of(paths)?;
    let (mut runs, mut unreadable) = (vec![], 0);
    for path in &paths {
        match open_run(path).and_then(|folder| Ok((Run::read(path)?, folder))) {
            Ok((run, folder)) => {
                warn_if_changed(&run, &folder);
                runs.push(run);
            }
            Err(error) if paths.len() == 1 => return Err(error.into()),
            Err(error) => {
                errln!("warning: left out: {}", chain(&error));
                unreadable += 1;
            }
        }
    }
    if paths.len() > 1 {
        Run::tell_apart(&mut runs);
    }
    let all_read = match unreadable {
        0 => Ok(()),
        n => Err(Failure::Run(anyhow!("{n} of {} could not be read", counted(paths.len(), "run")))),
    };
    Ok((runs, all_read))
}

/// Warns if the experiment in a run's folder is not the one that the run started with.
fn warn_if_changed(run: &Run, folder: &RunFolder) {
    let config = match folder.read_config_table() {
        Ok(config) => config,
        Err(error) => return errln!("warning: {error}; the values of this run are not shown"),
    };
    // another version may have written it in another form
    let then = &run.info;
    if then.config_sha256.is_empty() || then.version != env!("CARGO_PKG_VERSION") {
        return;
    }
    let as_written = || Experiment::written_numbers_sha256(config);
    let as_read = || Experiment::parse(&experiment_source(folder.path(), &[])?)?.numbers_sha256();
    let is_same = |now: Result<String>| now.is_ok_and(|now| now == then.config_sha256);
    if !is_same(as_written()) && !is_same(as_read()) {
        let path = run.path.display();
        errln!(
            "warning: {path}: config.toml was changed after the run started; its values are shown as they are now"
        );
    }
}

/// Names the runs that are not finished, whose numbers do not cover a whole run.
fn print_unfinished(runs: &[Run]) {
    for run in runs.iter().filter(|run| run.info.status != Status::Finished) {
        let message = run.info.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        errln!("warning: {} is not finished{message}", run.label);
    }
}

/// The current time in seconds since 1970 if one of the runs is still in progress.
fn live(runs: &[Run]) -> Option<u64> {
    let is_running = runs.iter().any(|run| run.info.status == Status::Running);
    is_running.then(unix_seconds)
}

/// Prints the results of a run when it ends, and writes its tables, figures and page into its folder.
pub(crate) fn print_run(folder: &RunFolder, options: RunOptions) -> Result<()> {
    let run = Run::read(folder.path())?;
    let comparison = Comparison::new(std::slice::from_ref(&run));
    let config = ReportConfig { title: &run.info.name, ..ReportConfig::default() };
    let tables = write_report(folder.path(), &comparison, &config)?;
    if options.json {
        outln!("{}", summary_json(&run)?);
        return Ok(());
    }
    outln!("{}", headline(&run));
    if options.verbose {
        tables.iter().for_each(|table| print_table(table, Extent::All));
    } else if let Some(table) = tables.first() {
        print_table(table, Extent::Main);
    }
    if let Some(conclusion) = conclusion(&[&run]) {
        outln!("{}", wrapped(&conclusion));
    }
    outln!("\n{}; the report is {}", cost(&run), folder.path().join("report.html").display());
    Ok(())
}
