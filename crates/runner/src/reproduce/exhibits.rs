//! What of the runs' rows belongs to each table and figure.

use std::path::Path;

use anyhow::Result;
use walk_core::Step;
use walk_record::{Row, RunFolder};
use walk_report::{Claim, Exhibit, ExhibitRun, claims};
use walk_train::{Method, Position};

use super::plan::{Part, Plan};
use crate::experiment::Experiment;
use crate::run_record::RunRecord;

/// A table or figure with what was measured for it.
pub(super) struct Measured {
    pub(super) name: String,
    /// Empty where a run is missing.
    pub(super) records: Vec<RunRecord>,
    batch_sizes: Vec<usize>,
    /// How each run trains.
    settings: Vec<String>,
}

/// Reads what there is of the plan's runs in a folder.
pub(super) fn measured(plan: &Plan, runs: &Path) -> Result<Vec<Measured>> {
    let there = plan.runs.iter().map(|run| {
        let path = runs.join(&run.name);
        if RunFolder::open(&path).is_ok() { RunRecord::read(&path).map(Some) } else { Ok(None) }
    });
    let there: Vec<Option<RunRecord>> = there.collect::<Result<_>>()?;
    let exhibits = plan.exhibits.iter().map(|exhibit| {
        let found = exhibit.parts.iter().filter_map(|part| Some((part, there[part.run].as_ref()?)));
        let (mut records, mut batch_sizes, mut settings) = (vec![], vec![], vec![]);
        for (part, run) in found {
            batch_sizes.push(batch_size(&part.experiment, run));
            settings.push(setting(&part.experiment, run));
            records.push(record_of(part, run));
        }
        // members that differ in their batches are called by them: at each scale they have others
        if batch_sizes.windows(2).any(|pair| pair[0] != pair[1]) {
            for (record, batch_size) in records.iter_mut().zip(&batch_sizes) {
                record.label = format!("B = {batch_size}");
            }
        }
        Measured { name: exhibit.name.clone(), records, batch_sizes, settings }
    });
    Ok(exhibits.collect())
}

/// The claims that they are about.
pub(super) fn claims_of(measured: &[Measured]) -> Vec<Claim> {
    let runs = measured.iter().map(|exhibit| {
        let each = exhibit.records.iter().zip(&exhibit.batch_sizes).zip(&exhibit.settings);
        let each = each.map(|((record, &batch_size), setting)| ExhibitRun {
            label: &record.label,
            setting,
            batch_size,
            rows: &record.rows,
        });
        each.collect::<Vec<ExhibitRun<'_>>>()
    });
    let runs: Vec<Vec<ExhibitRun<'_>>> = runs.collect();
    let exhibits: Vec<Exhibit<'_>> =
        measured.iter().zip(&runs).map(|(of, runs)| Exhibit { name: &of.name, runs }).collect();
    claims(&exhibits)
}

/// Samples behind a gradient.
fn batch_size(experiment: &Experiment, run: &RunRecord) -> usize {
    match experiment.optim.method {
        Method::Sgd => experiment.optim.batch_size,
        Method::Gd => run.info.data.train,
    }
}

/// How an experiment trains.
fn setting(experiment: &Experiment, run: &RunRecord) -> String {
    let how = match experiment.optim.method {
        Method::Sgd => format!("SGD, B = {}", experiment.optim.batch_size),
        Method::Gd => "GD".into(),
    };
    format!("{} on {}, {how}, lr {}", run.info.plugin.name, run.info.data.set, experiment.optim.lr)
}

/// The run with the rows that the part's experiment would have alone.
fn record_of(part: &Part, run: &RunRecord) -> RunRecord {
    let Experiment { epochs, probe, optim, .. } = &part.experiment;
    let updates = optim.updates_per_epoch(run.info.data.train) as u32;
    let belongs = |row: &&Row| {
        let (epoch, iteration, step) = row.at();
        let at = Position { epoch, iteration, updates, step: Step(step) };
        let of_training = matches!(row, Row::Train(_) | Row::Order(_) | Row::Epoch(_));
        epoch <= *epochs && (of_training || probe.measures(row.kind(), at))
    };
    let rows = run.rows.iter().filter(belongs).cloned().collect();
    RunRecord { label: part.label.clone(), rows, ..run.clone() }
}
