//! `runner report RUN...`, and what is printed as a run ends: from records alone.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use walk_record::{Row, RunFolder, RunInfo, write_file};
use walk_report::{Drawing, Summary, figures, tables};

use crate::failure::Failure;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Tables, as wide as the terminal.
    Text,
    /// One JSON line per run.
    Json,
}

/// Prints the runs' tables, all runs in each, under the names of their folders if there are several, and writes them and the
/// figures: of one run into its folder, of all into `out` if that is given.
pub(crate) fn report(runs: &[PathBuf], out: Option<&Path>, output: Output) -> Result<(), Failure> {
    let read = |path: &PathBuf| Ok((path.clone(), Record::read(&RunFolder::open(path)?)?));
    let records: Vec<(PathBuf, Record)> = runs.iter().map(read).collect::<Result<_>>()?;
    let label = |path: &Path, record: &Record| match records.len() {
        1 => record.info.plugin.name.clone(),
        _ => {
            path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into())
        }
    };
    let labels: Vec<String> = records.iter().map(|(path, record)| label(path, record)).collect();
    let labelled: Vec<Labelled<'_>> = labels
        .iter()
        .zip(&records)
        .map(|(label, (_, record))| Labelled { label, rows: &record.rows })
        .collect();
    let place = match (out, runs) {
        (Some(out), _) => Some(out),
        (None, [run]) => Some(run.as_path()),
        (None, _) => None,
    };
    place.map_or(Ok(()), |place| write_report(place, &labelled)).map_err(Failure::Run)?;
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
        print_tables(&labelled);
    }
    if let (Some(place), Output::Text) = (place, output) {
        println!("\ntables and figures are in {}", place.display());
    }
    Ok(())
}

/// Prints a run's tables as it ends, and writes them and its figures into its folder.
pub(crate) fn print_run(folder: &RunFolder, output: Output) -> Result<()> {
    let record = Record::read(folder)?;
    let labelled = [Labelled { label: &record.info.plugin.name, rows: &record.rows }];
    write_report(folder.path(), &labelled)?;
    if output == Output::Json {
        println!("{}", record.json(folder.path()));
    } else {
        record.print_head();
        print_tables(&labelled);
        println!("\n{}; everything is in {}", record.cost(), folder.path().display());
    }
    Ok(())
}

/// A run's rows under a name.
type Labelled<'a> = walk_report::Run<'a>;

fn summaries(runs: &[Labelled<'_>]) -> Vec<Summary> {
    runs.iter().map(|run| Summary::new(run.label, run.rows)).collect()
}

fn print_tables(runs: &[Labelled<'_>]) {
    // where standard output is no terminal, tables are as wide as they are
    let width = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    for table in tables(&summaries(runs)) {
        println!("\n{}", table.text(width));
    }
}

/// Writes `tables/` and `figures/`.
fn write_report(place: &Path, runs: &[Labelled<'_>]) -> Result<()> {
    let write = |folder: &str, name: &str, ending: &str, bytes: &[u8]| {
        write_file(&place.join(folder).join(format!("{name}.{ending}")), bytes)
    };
    for table in tables(&summaries(runs)) {
        write("tables", table.name, "txt", format!("{}\n", table.text(None)).as_bytes())?;
        write("tables", table.name, "md", table.markdown().as_bytes())?;
        write("tables", table.name, "tex", table.latex().as_bytes())?;
        write("tables", table.name, "csv", &table.csv()?)?;
    }
    for figure in figures(runs) {
        let name = figure.name.clone();
        let Drawing { svg, png, csv } = figure.draw()?;
        write("figures", &name, "svg", svg.as_bytes())?;
        write("figures", &name, "png", &png)?;
        write("figures", &name, "csv", &csv)?;
    }
    Ok(())
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
