//! What of the runs' rows belongs to each table and figure.

use walk_core::Step;
use walk_record::Row;
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
    /// How each of them trains.
    trainings: Vec<Training>,
}

/// How a run trains.
struct Training {
    /// Samples behind a gradient.
    batch_size: usize,
    /// Network, data, method, rate.
    setting: String,
}

/// What each of the plan's exhibits has of the runs that are there.
pub(super) fn measured(plan: &Plan, there: &[Option<RunRecord>]) -> Vec<Measured> {
    let exhibits = plan.exhibits.iter().map(|exhibit| {
        let found = exhibit.parts.iter().filter_map(|part| Some((part, there[part.run].as_ref()?)));
        let found = found.map(|(part, run)| (record_of(part, run), Training::of(&part.experiment, run)));
        let (mut records, trainings): (Vec<RunRecord>, Vec<Training>) = found.unzip();
        // members that differ in their batches are called by them: at each scale they have others
        if trainings.windows(2).any(|pair| pair[0].batch_size != pair[1].batch_size) {
            for (record, training) in records.iter_mut().zip(&trainings) {
                record.label = format!("B = {}", training.batch_size);
            }
        }
        Measured { name: exhibit.name.clone(), records, trainings }
    });
    exhibits.collect()
}

/// The claims that they are about.
pub(super) fn claims_of(measured: &[Measured]) -> Vec<Claim> {
    let runs = measured.iter().map(|exhibit| {
        let each = exhibit.records.iter().zip(&exhibit.trainings);
        let each = each.map(|(record, Training { batch_size, setting })| ExhibitRun {
            label: &record.label,
            setting,
            batch_size: *batch_size,
            rows: &record.rows,
        });
        each.collect::<Vec<ExhibitRun<'_>>>()
    });
    let runs: Vec<Vec<ExhibitRun<'_>>> = runs.collect();
    let exhibits: Vec<Exhibit<'_>> =
        measured.iter().zip(&runs).map(|(of, runs)| Exhibit { name: &of.name, runs }).collect();
    claims(&exhibits)
}

impl Training {
    fn of(experiment: &Experiment, run: &RunRecord) -> Self {
        let (optim, info) = (&experiment.optim, &run.info);
        let (batch_size, how) = match optim.method {
            Method::Sgd => (optim.batch_size, format!("SGD, B = {}", optim.batch_size)),
            Method::Gd => (info.data.train, "GD".into()),
        };
        let setting = format!("{} on {}, {how}, lr {}", info.plugin.name, info.data.set, optim.lr);
        Self { batch_size, setting }
    }
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
