//! `runner report RUN...`, and the tables at a run's end: from records alone.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::PathBuf;

use anyhow::Result;
use walk_record::{Row, RunFolder, RunInfo};
use walk_report::{Summary, tables};

use crate::failure::Failure;

/// Prints the runs' tables, all runs in each.
pub(crate) fn report(runs: &[PathBuf]) -> Result<(), Failure> {
    let read = |path: &PathBuf| -> Result<(RunInfo, Vec<Row>)> {
        let folder = RunFolder::open(path)?;
        Ok((folder.read_info()?, folder.read_rows()?))
    };
    let read: Vec<(RunInfo, Vec<Row>)> = runs.iter().map(read).collect::<Result<_>>()?;
    for ((info, rows), path) in read.iter().zip(runs) {
        print_head(info, rows);
        println!("{}; everything is in {}", cost(info), path.display());
    }
    let label = |info: &RunInfo| if runs.len() == 1 { info.plugin.name.clone() } else { info.name.clone() };
    let summaries: Vec<Summary> = read.iter().map(|(info, rows)| Summary::new(label(info), rows)).collect();
    for table in tables(&summaries) {
        println!("\n{table}");
    }
    Ok(())
}

/// Prints a run's tables as it ends.
pub(crate) fn print_run(folder: &RunFolder) -> Result<()> {
    let (info, rows) = (folder.read_info()?, folder.read_rows()?);
    print_head(&info, &rows);
    for table in tables(&[Summary::new(info.plugin.name.clone(), &rows)]) {
        println!("\n{table}");
    }
    println!("\n{}; everything is in {}", cost(&info), folder.path().display());
    Ok(())
}

/// What was run, and how well the network does.
fn print_head(info: &RunInfo, rows: &[Row]) {
    println!(
        "{}: {} with {} parameters on {}, {} training samples",
        info.name, info.plugin.name, info.network.n_params, info.data.set, info.data.train
    );
    let last = rows.iter().rev().find_map(|row| if let Row::Epoch(row) = row { Some(row) } else { None });
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

/// How long a run took, and each probe's part.
fn cost(info: &RunInfo) -> String {
    let Some(elapsed) = info.elapsed_s else { return "not finished".into() };
    let probes = info.probes.iter().filter(|probe| probe.measurements > 0).map(|probe| {
        let share = 100.0 * probe.elapsed_s / elapsed;
        format!("{} {:.1} s ({share:.0}%, {} times)", probe.name, probe.elapsed_s, probe.measurements)
    });
    let probes: Vec<String> = probes.collect();
    let of_them = if probes.is_empty() { String::new() } else { format!(", of it {}", probes.join(", ")) };
    format!("{elapsed:.1} s{of_them}")
}
