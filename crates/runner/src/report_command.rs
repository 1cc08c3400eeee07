//! `sgdwalk report RUN...`, and what is printed as a run ends: from records alone.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::{Path, PathBuf};

use anyhow::Result;
use walk_record::RunFolder;
use walk_report::Table;

use crate::failure::Failure;
use crate::report_files::{tables_of, write_report};
use crate::run_record::RunRecord;

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
pub(crate) fn report(runs: &[PathBuf], out: Option<&Path>, output: OutputFormat) -> Result<(), Failure> {
    let mut records: Vec<RunRecord> = runs.iter().map(|path| RunRecord::read(path)).collect::<Result<_>>()?;
    if records.len() > 1 {
        for record in &mut records {
            let name = record.path.file_name().map(|name| name.to_string_lossy().into_owned());
            record.label = name.unwrap_or_else(|| record.path.display().to_string());
        }
    }
    let place = match (out, runs) {
        (Some(out), _) => Some(out),
        (None, [run]) => Some(run.as_path()),
        (None, _) => None,
    };
    let tables = tables_of(&records);
    if let Some(place) = place {
        let title = match records.as_slice() {
            [one] => one.info.name.clone(),
            several => format!("{} runs", several.len()),
        };
        write_report(place, &title, &records, &tables).map_err(Failure::Run)?;
    }
    for record in &records {
        match output {
            OutputFormat::Json => println!("{}", record.json()),
            OutputFormat::Text => {
                record.print_head();
                println!("{}; everything is in {}", record.cost(), record.path.display());
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

/// Prints a run's tables as it ends, and writes them, its figures and its page into its folder.
pub(crate) fn print_run(folder: &RunFolder, output: OutputFormat) -> Result<()> {
    let records = [RunRecord::read(folder.path())?];
    let ([record], tables) = (&records, tables_of(&records));
    write_report(folder.path(), &record.info.name, &records, &tables)?;
    if output == OutputFormat::Json {
        println!("{}", record.json());
    } else {
        record.print_head();
        print_tables(&tables);
        println!("\n{}; everything is in {}", record.cost(), folder.path().display());
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
