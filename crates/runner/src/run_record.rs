//! What a run left, as reports want it.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use walk_record::{Row, RunFolder, RunInfo};
use walk_report::Summary;

/// What a run left, under a name.
#[derive(Clone, Debug)]
pub(crate) struct RunRecord {
    /// What tables and figures call it.
    pub(crate) label: String,
    /// Its folder.
    pub(crate) path: PathBuf,
    pub(crate) info: RunInfo,
    pub(crate) rows: Vec<Row>,
    /// Its experiment's keys, dotted, and their values.
    pub(crate) config: Vec<(String, String)>,
}

impl RunRecord {
    /// Reads a run's folder; the architecture names it.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let folder = RunFolder::open(path)?;
        let (info, rows) = (folder.read_info()?, folder.read_rows()?);
        let text = folder.read_config()?;
        let table: toml::Table =
            toml::from_str(&text).with_context(|| format!("{}: not TOML", folder.config_path().display()))?;
        let mut config = vec![];
        flatten("", &table, &mut config);
        Ok(Self { label: info.plugin.name.clone(), path: path.into(), info, rows, config })
    }

    /// What its rows say, for tables.
    pub(crate) fn summary(&self) -> Summary {
        Summary::new(self.label.clone(), &self.rows)
    }

    /// What was run, and how well the network does.
    pub(crate) fn print_head(&self) {
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
    pub(crate) fn cost(&self) -> String {
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
    pub(crate) fn json(&self) -> serde_json::Value {
        let summary = self.summary();
        let measured = summary.epochs.iter().filter(|(_, segments)| segments.measured > 0);
        let barriers: Vec<_> = measured
            .map(|(epoch, segments)| {
                json!({ "epoch": epoch, "barriers": segments.barriers, "updates": segments.measured })
            })
            .collect();
        let last = self.rows.iter().rev().find(|row| matches!(row, Row::Epoch(_)));
        json!({ "run": self.path, "info": self.info, "last_epoch": last, "barriers": barriers })
    }
}

/// Every value of a table under its dotted key.
fn flatten(prefix: &str, table: &toml::Table, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, found),
            value => found.push((key, value.to_string())),
        }
    }
}
