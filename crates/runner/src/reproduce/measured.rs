//! Selects the rows that belong to each table and figure.

use std::collections::BTreeSet;
use std::ops::Range;

use walk_core::Step;
use walk_record::{Row, Run};
use walk_report::{ClaimName, Exhibit, Setting, batch_size};
use walk_train::Position;

use super::plan::{Member, ReproducedItem, ReproductionPlan};
use crate::experiment::Experiment;

/// A table or figure with its measurements.
pub(super) struct MeasuredItem {
    pub(super) name: String,
    claims: Vec<ClaimName>,
    /// Its runs so far, with the seeds of each member one after the other.
    pub(super) runs: Vec<Run>,
    /// The members that have runs.
    members: Vec<MeasuredMember>,
}

/// A member and its runs among those of its table or figure.
struct MeasuredMember {
    label: String,
    runs: Range<usize>,
}

/// The measurements so far for each of the plan's tables and figures.
pub(super) fn measured(plan: &ReproductionPlan, made: &[Option<Run>]) -> Vec<MeasuredItem> {
    plan.items.iter().map(|item| MeasuredItem::new(item, made)).collect()
}

impl MeasuredItem {
    fn new(item: &ReproducedItem, made: &[Option<Run>]) -> Self {
        let (mut runs, mut members) = (vec![], vec![]);
        for member in &item.members {
            let start = runs.len();
            let of_seeds = member.experiments.iter().zip(&member.runs);
            runs.extend(
                of_seeds.filter_map(|(experiment, &run)| Some(run_of(experiment, made[run].as_ref()?))),
            );
            if start < runs.len() {
                members.push(MeasuredMember { label: member.label.clone(), runs: start..runs.len() });
            }
        }
        // members that differ in batch size and nothing else are labeled by it, since batch sizes depend on the scale
        let sizes: Vec<usize> = members.iter().map(|member| batch_size(&runs[member.runs.start])).collect();
        let different: BTreeSet<usize> = sizes.iter().copied().collect();
        let is_alike =
            |member: &Member| member.experiments[0].is_like_but_for_batches(&item.members[0].experiments[0]);
        if members.len() > 1 && different.len() == members.len() && item.members.iter().all(is_alike) {
            members.iter_mut().zip(sizes).for_each(|(member, size)| member.label = format!("B = {size}"));
        }
        let has_seeds = item.members.iter().any(|member| member.experiments.len() > 1);
        for member in &members {
            for run in &mut runs[member.runs.clone()] {
                let seed = run.value("seed").filter(|_| has_seeds).map(|seed| format!(", seed {seed}"));
                run.label = format!("{}{}", member.label, seed.unwrap_or_default());
            }
        }
        let mut claims: Vec<ClaimName> = vec![];
        for claim in item.members.iter().flat_map(|member| &member.experiments[0].claims) {
            if !claims.contains(claim) {
                claims.push(*claim);
            }
        }
        Self { name: item.name.clone(), claims, runs, members }
    }

    /// Its runs, one setting per member.
    pub(super) fn settings(&self) -> Vec<Setting<'_>> {
        let setting = |member: &MeasuredMember| Setting::new(&member.label, &self.runs[member.runs.clone()]);
        self.members.iter().map(setting).collect()
    }

    /// In the form that claims are tested on.
    pub(super) fn exhibit(&self) -> Exhibit<'_> {
        Exhibit { name: &self.name, claims: &self.claims, settings: self.settings() }
    }
}

/// The run with only the rows that the experiment would have by itself.
fn run_of(experiment: &Experiment, run: &Run) -> Run {
    let Experiment { epochs, probe, optim, .. } = experiment;
    let updates = optim.updates_per_epoch(run.info.data.train) as u32;
    let belongs = |row: &&Row| {
        let (epoch, iteration, step) = (row.at.epoch, row.at.iteration, Step(row.at.step));
        let at = Position { epoch, iteration, updates, step };
        epoch <= *epochs && (!row.kind.is_of_probe() || probe.measures(row.kind.name(), at))
    };
    Run { records: run.records.iter().filter(belongs).cloned().collect(), ..run.clone() }
}
