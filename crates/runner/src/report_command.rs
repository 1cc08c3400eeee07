//! `sgdwalk report RUN...`, and what is printed when a run ends: from records alone.
#![expect(clippy::print_stdout, reason = "a command's output")]

use anyhow::Result;
use walk_record::{RecordError, Run, RunFolder};
use walk_report::{Table, cost, headline, summary_json, tables, write_report};

use crate::cli::{ReportArguments, RunOptions};
use crate::failure::Failure;

/// Prints the runs' tables, all runs in each, under the names of their folders if there are several, and writes them, the
/// figures and the page: of one run into its folder, of all into `out` if that is given.
pub(crate) fn report(arguments: &ReportArguments) -> Result<(), Failure> {
    let paths = &arguments.runs;
    let mut runs: Vec<Run> = paths.iter().map(|path| Run::read(path)).collect::<Result<_, RecordError>>()?;
    if runs.len() > 1 {
        Run::tell_apart(&mut runs);
    }
    let folder = arguments.out.as_ref().or(paths.first().filter(|_| paths.len() == 1));
    let tables = match folder {
        Some(folder) => {
            let title = match runs.as_slice() {
                [run] => run.info.name.clone(),
                several => format!("{} runs", several.len()),
            };
            write_report(folder, &title, &runs, &[]).map_err(Failure::run)?
        }
        None => tables(&runs),
    };
    for run in &runs {
        if arguments.json {
            println!("{}", summary_json(run)?);
        } else {
            println!("{}\n{}; everything is in {}", headline(run), cost(run), run.path.display());
        }
    }
    if !arguments.json {
        print_tables(&tables);
        if let Some(folder) = folder {
            println!("\ntables, figures and report.html are in {}", folder.display());
        }
    }
    Ok(())
}

/// Prints a run's tables when it ends, and writes them, its figures and its page into its folder.
pub(crate) fn print_run(folder: &RunFolder, options: RunOptions) -> Result<()> {
    let run = Run::read(folder.path())?;
    let tables = write_report(folder.path(), &run.info.name, std::slice::from_ref(&run), &[])?;
    if options.json {
        println!("{}", summary_json(&run)?);
    } else {
        println!("{}", headline(&run));
        print_tables(&tables);
        println!("\n{}; everything is in {}", cost(&run), folder.path().display());
    }
    Ok(())
}

/// Prints tables as wide as the terminal, or as they are where standard output is none.
pub(crate) fn print_tables(tables: &[Table]) {
    let width = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    for table in tables {
        println!("\n{}", table.text(width));
    }
}
