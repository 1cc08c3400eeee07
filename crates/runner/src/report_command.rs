//! `sgdwalk report RUN...`, and what is printed when a run ends: from records alone.

use anyhow::{Result, anyhow};
use walk_record::{Run, RunFolder};
use walk_report::{Table, cost, counted, headline, summary_json, tables, write_report};

use crate::cli::{ReportArguments, RunOptions};
use crate::failure::{Failure, chain};
use crate::output::{errln, outln};
use crate::resume::open_run;

/// Prints the runs' tables, all runs in each, under the names of their folders if there are several, and writes them, the
/// figures and the page: of one run into its folder, of all into `out` if that is given. Of several runs, those that cannot be
/// read are named and left out.
pub(crate) fn report(arguments: &ReportArguments) -> Result<(), Failure> {
    let paths = &arguments.runs;
    let (mut runs, mut unreadable) = (vec![], 0);
    for path in paths {
        match open_run(path).and_then(|_| Ok(Run::read(path)?)) {
            Ok(run) => runs.push(run),
            Err(error) if paths.len() == 1 => return Err(error.into()),
            Err(error) => {
                errln!("warning: left out: {}", chain(&error));
                unreadable += 1;
            }
        }
    }
    let all_read = match unreadable {
        0 => Ok(()),
        n => Err(Failure::Run(anyhow!("{n} of {} could not be read", counted(paths.len(), "run")))),
    };
    if runs.is_empty() {
        return all_read;
    }
    if paths.len() > 1 {
        Run::tell_apart(&mut runs);
    }
    let folder = arguments.out.as_ref().or(paths.first().filter(|_| paths.len() == 1));
    let tables = match folder {
        Some(folder) => {
            let title = match runs.as_slice() {
                [run] => run.info.name.clone(),
                several => counted(several.len(), "run"),
            };
            write_report(folder, &title, &runs, &[]).map_err(Failure::run)?
        }
        None => tables(&runs),
    };
    for run in &runs {
        if arguments.json {
            outln!("{}", summary_json(run)?);
        } else {
            outln!("{}\n{}; the run is in {}", headline(run), cost(run), run.path.display());
        }
    }
    if !arguments.json {
        print_tables(&tables);
        match folder {
            Some(folder) => outln!("\ntables, figures and report.html are in {}", folder.display()),
            None => outln!("\nno files were written; --out DIR writes tables, figures and report.html"),
        }
    }
    all_read
}

/// Prints a run's tables when it ends, and writes them, its figures and its page into its folder.
pub(crate) fn print_run(folder: &RunFolder, options: RunOptions) -> Result<()> {
    let run = Run::read(folder.path())?;
    let tables = write_report(folder.path(), &run.info.name, std::slice::from_ref(&run), &[])?;
    if options.json {
        outln!("{}", summary_json(&run)?);
    } else {
        outln!("{}", headline(&run));
        print_tables(&tables);
        outln!("\n{}; everything is in {}", cost(&run), folder.path().display());
    }
    Ok(())
}

/// Prints tables.
pub(crate) fn print_tables(tables: &[Table]) {
    for table in tables {
        outln!("\n{}", table_text(table));
    }
}

/// A table as wide as the terminal, or as it is where standard output is none.
pub(crate) fn table_text(table: &Table) -> String {
    let width = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    table.text(width)
}
