//! `sgdwalk report RUN...`, and what is printed when a run ends: from records alone.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::{Path, PathBuf};

use anyhow::Result;
use walk_record::{RecordError, Run, RunFolder};
use walk_report::{Table, cost, headline, summary_json, tables, write_report};

use crate::failure::Failure;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    /// Tables, as wide as the terminal.
    Text,
    /// One JSON line per run.
    Json,
}

/// Prints the runs' tables, all runs in each, under the names of their folders if there are several, and writes them, the
/// figures and the page: of one run into its folder, of all into `out` if that is given.
pub(crate) fn report(paths: &[PathBuf], out: Option<&Path>, output: OutputFormat) -> Result<(), Failure> {
    let runs: Result<Vec<Run>, RecordError> = paths.iter().map(|path| Run::read(path)).collect();
    let mut runs = runs.map_err(anyhow::Error::from)?;
    if runs.len() > 1 {
        Run::tell_apart(&mut runs);
    }
    let place = match (out, paths) {
        (Some(out), _) => Some(out),
        (None, [path]) => Some(path.as_path()),
        (None, _) => None,
    };
    let tables = match place {
        Some(place) => {
            let title = match runs.as_slice() {
                [run] => run.info.name.clone(),
                several => format!("{} runs", several.len()),
            };
            write_report(place, &title, &runs, &[]).map_err(|error| Failure::Run(error.into()))?
        }
        None => tables(&runs),
    };
    for run in &runs {
        match output {
            OutputFormat::Json => println!("{}", summary_json(run).map_err(anyhow::Error::from)?),
            OutputFormat::Text => {
                println!("{}\n{}; everything is in {}", headline(run), cost(run), run.path.display());
            }
        }
    }
    if output == OutputFormat::Text {
        print_tables(&tables);
    }
    if let (Some(place), OutputFormat::Text) = (place, output) {
        println!("\ntables, figures and report.html are in {}", place.display());
    }
    Ok(())
}

/// Prints a run's tables when it ends, and writes them, its figures and its page into its folder.
pub(crate) fn print_run(folder: &RunFolder, output: OutputFormat) -> Result<()> {
    let run = Run::read(folder.path())?;
    let name = run.info.name.clone();
    let tables = write_report(folder.path(), &name, std::slice::from_ref(&run), &[])?;
    if output == OutputFormat::Json {
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
