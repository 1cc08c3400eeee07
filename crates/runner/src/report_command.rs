//! `runner report RUN...`, and what is printed as a run ends: from records alone.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use walk_record::{Row, RunFolder, RunInfo};
use walk_report::{Summary, tables};

use crate::failure::Failure;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Tables, as wide as the terminal.
    Text,
    /// One JSON line per run.
    Json,
}

/// Prints the runs' tables, all runs in each, under the names of their folders if there are several.
pub(crate) fn report(runs: &[PathBuf], output: Output) -> Result<(), Failure> {
    let read = |path: &PathBuf| Ok((path.clone(), Record::read(&RunFolder::open(path)?)?));
    let records: Vec<(PathBuf, Record)> = runs.iter().map(read).collect::<Result<_>>()?;
    let label = |path: &Path, record: &Record| match records.len() {
        1 => record.info.plugin.name.clone(),
        _ => {
            path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into())
        }
    };
    for (path, record) in &records {
        match output {
            Output::Json => println!("{}", record.json(path)),
            Output::Text => {
                record.print_head();
                println!("{}; everything is in {}", record.cost(), path.display());
            }
        }
    }
    if output == Output::Text {
        let summaries: Vec<Summary> =
            records.iter().map(|(path, record)| Summary::new(label(path, record), &record.rows)).collect();
        print_tables(&summaries);
    }
    Ok(())
}

/// Prints a run's tables as it ends.
pub(crate) fn print_run(folder: &RunFolder, output: Output) -> Result<()> {
    let record = Record::read(folder)?;
    if output == Output::Json {
        println!("{}", record.json(folder.path()));
        return Ok(());
    }
    record.print_head();
    print_tables(&[Summary::new(record.info.plugin.name.clone(), &record.rows)]);
    println!("\n{}; everything is in {}", record.cost(), folder.path().display());
    Ok(())
}

fn print_tables(summaries: &[Summary]) {
    // where standard output is no terminal, tables are as wide as they are
    let width = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    for table in tables(summaries) {
        println!("\n{}", table.text(width));
    }
}

/// What a run left.
struct Record {
    info: RunInfo,
    rows: Vec<Row>,
}

impl Record {
    fn read(folder: &RunFolder) -> Result<Self> {
        Ok(Self { info: folder.read_info()?, rows: folder.read_rows()? })
    }

    /// What was run, and how well the network does.
    fn print_head(&self) {
        let info = &self.info;
        println!(
            "{}: {} with {} parameters on {}, {} training samples",
            info.name, info.plugin.name, info.network.n_params, info.data.set, info.data.train
        );
        if let Some(fork) = &info.fork {
            let changes = if fork.changes.is_empty() { "nothing".into() } else { fork.changes.join(", ") };
            println!("branched off from {} after update {}, changed: {changes}", fork.run, fork.step);
        }
        let last =
            self.rows.iter().rev().find_map(|row| if let Row::Epoch(row) = row { Some(row) } else { None });
        if let Some(row) = last {
            println!(
                "after epoch {}: training loss {:.4}, validation loss {:.4}, validation accuracy {:.2}%",
                row.epoch,
                row.train_loss,
                row.valid_loss,
                100.0 * row.valid_accuracy
            );
        }
    }

    /// How long the run took, and each probe's part.
    fn cost(&self) -> String {
        let Some(elapsed) = self.info.elapsed_s else { return "not finished".into() };
        let probes = self.info.probes.iter().filter(|probe| probe.measurements > 0).map(|probe| {
            let share = 100.0 * probe.elapsed_s / elapsed;
            format!("{} {:.1} s ({share:.0}%, {} times)", probe.name, probe.elapsed_s, probe.measurements)
        });
        let probes: Vec<String> = probes.collect();
        let of_them =
            if probes.is_empty() { String::new() } else { format!(", of it {}", probes.join(", ")) };
        format!("{elapsed:.1} s{of_them}")
    }

    /// The description, the last epoch's row and the counts of barriers.
    fn json(&self, path: &Path) -> serde_json::Value {
        let summary = Summary::new(self.info.plugin.name.clone(), &self.rows);
        let measured = summary.epochs.iter().filter(|(_, segments)| segments.measured > 0);
        let barriers: Vec<_> = measured
            .map(|(epoch, segments)| {
                json!({ "epoch": epoch, "barriers": segments.barriers, "updates": segments.measured })
            })
            .collect();
        let last = self.rows.iter().rev().find(|row| matches!(row, Row::Epoch(_)));
        json!({ "run": path, "info": self.info, "last_epoch": last, "barriers": barriers })
    }
}
