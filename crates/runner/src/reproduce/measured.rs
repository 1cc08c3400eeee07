//! What of the runs' rows belongs to each table and figure.

use walk_core::Step;
use walk_record::{Row, Run};
use walk_report::{ClaimName, Exhibit, batch_size};
use walk_train::Position;

use super::plan::{Member, ReproductionPlan};
use crate::experiment::Experiment;

/// A table or figure with what was measured for it.
pub(super) struct MeasuredItem {
    pub(super) name: String,
    claims: Vec<ClaimName>,
    /// Those of its runs that have been made.
    pub(super) runs: Vec<Run>,
}

impl MeasuredItem {
    /// As claims are tested on it.
    pub(super) fn exhibit(&self) -> Exhibit<'_> {
        Exhibit { name: &self.name, claims: &self.claims, runs: &self.runs }
    }
}

/// What each of the plan's tables and figures has of the runs that have been made.
pub(super) fn measured(plan: &ReproductionPlan, made: &[Option<Run>]) -> Vec<MeasuredItem> {
    let items = plan.items.iter().map(|item| {
        let runs = item.members.iter().filter_map(|member| Some(run_of(member, made[member.run].as_ref()?)));
        let mut runs: Vec<Run> = runs.collect();
        // members that differ in batch size are labeled by it: at each scale they have others
        if runs.windows(2).any(|pair| batch_size(&pair[0]) != batch_size(&pair[1])) {
            for run in &mut runs {
                run.label = format!("B = {}", batch_size(run));
            }
        }
        let mut claims: Vec<ClaimName> = vec![];
        for claim in item.members.iter().flat_map(|member| &member.experiment.claims) {
            if !claims.contains(claim) {
                claims.push(*claim);
            }
        }
        MeasuredItem { name: item.name.clone(), claims, runs }
    });
    items.collect()
}

/// The run with the rows that the member's experiment would have alone.
fn run_of(member: &Member, run: &Run) -> Run {
    let Experiment { epochs, probe, optim, .. } = &member.experiment;
    let updates = optim.updates_per_epoch(run.info.data.train) as u32;
    let belongs = |row: &&Row| {
        let (epoch, iteration, step) = (row.at.epoch, row.at.iteration, Step(row.at.step));
        let at = Position { epoch, iteration, updates, step };
        epoch <= *epochs && (!row.kind.is_of_probe() || probe.measures(row.kind.name(), at))
    };
    let records = run.records.iter().filter(belongs).cloned().collect();
    Run { label: member.label.clone(), records, ..run.clone() }
}
