//! A claim, the data it is tested on, and its verdict.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_record::Run;

use crate::comparison::Setting;
use crate::training::setting;

/// A claim of the paper or of another publication that can be tested on runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimName {
    /// SGD rarely crosses barriers: in fewer than one update in ten.
    RareBarriers,
    /// The valley floor moves both up and down from one update to the next.
    FloorMoves,
    /// The alignment of gradients with the Hessian rises with the batch size.
    AlignmentRises,
    /// The variance of batch gradients is proportional to 1/B - 1/N (Eq. 3).
    GradientVariance,
    /// Consecutive gradients are more strongly opposed at larger batch sizes.
    OpposingGradients,
    /// The distance from the initial point grows more slowly at larger batch sizes.
    SlowerGrowth,
    /// In full-batch training, the sharpness settles at the stability threshold; for Adam, that of the preconditioned Hessian.
    SharpnessAtThreshold,
    /// In full-batch training, the loss rises at some updates, yet falls in the long run.
    LossRisesAtTimes,
    /// The batch sharpness settles at the small-batch plateau: 2/η without momentum and weight decay.
    BatchSharpnessAtThreshold,
    /// The sharpness stays below the full-batch threshold.
    SharpnessBelowThreshold,
    /// The sharpness settles at a lower level for smaller batch sizes.
    FlatterAtSmallBatches,
    /// The critical sharpness 2/η_c, computed from losses alone, follows the largest eigenvalue.
    CriticalSharpnessFollows,
    /// Most of the gradient lies in the span of the top eigenvectors, one per class.
    GradientInTopSpace,
    /// The distance from the initial point grows like the logarithm of the number of updates.
    LogarithmicGrowth,
    /// The earlier two copies of a run split, the higher the barrier between them.
    BarrierFallsWithLaterSplit,
    /// Copies of a run that split late are linearly connected.
    LateTwinsConnect,
    /// The loss falls monotonically along the line from the initial to the final point.
    MonotoneLine,
    /// When the learning rate decays, the loss falls to the valley floor below it.
    DecayFallsToFloor,
    /// The gradient noise scale rises over training.
    NoiseScaleRises,
}

/// A table or figure of the paper, or a result of another publication, and the runs made for it.
#[derive(Clone, Debug)]
pub struct Exhibit<'a> {
    /// `table1`, `fig01`, ..., `fig07a`, `noise-scale`.
    pub name: &'a str,
    /// The claims that are tested on it.
    pub claims: &'a [ClaimName],
    /// The measurements for it, setting by setting; empty if there are none.
    pub settings: Vec<Setting<'a>>,
}

#[cfg(test)]
impl ClaimName {
    /// All claims.
    pub(crate) const ALL: &'static [Self] = &[
        Self::RareBarriers,
        Self::FloorMoves,
        Self::AlignmentRises,
        Self::GradientVariance,
        Self::OpposingGradients,
        Self::SlowerGrowth,
        Self::SharpnessAtThreshold,
        Self::LossRisesAtTimes,
        Self::BatchSharpnessAtThreshold,
        Self::SharpnessBelowThreshold,
        Self::FlatterAtSmallBatches,
        Self::CriticalSharpnessFollows,
        Self::GradientInTopSpace,
        Self::LogarithmicGrowth,
        Self::BarrierFallsWithLaterSplit,
        Self::LateTwinsConnect,
        Self::MonotoneLine,
        Self::DecayFallsToFloor,
        Self::NoiseScaleRises,
    ];
}

/// The result of testing a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The measurements confirm it, at the level of its test.
    Holds,
    /// Neither the claim nor its opposite was shown.
    Undecided,
    /// The measurements contradict it, at the level of its test.
    DoesNotHold,
    /// Nothing was measured.
    NotMeasured,
}

impl Verdict {
    /// Its name in tables.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Undecided => "undecided",
            Self::DoesNotHold => "does not hold",
            Self::NotMeasured => "not measured",
        }
    }

    /// Whether `claimed`, the range of values for which a claim holds, contains all or none of `found`, a confidence interval
    /// of the value.
    pub(super) fn of_interval(found: [f64; 2], claimed: [f64; 2]) -> Self {
        if claimed[0] < found[0] && found[1] < claimed[1] {
            Self::Holds
        } else if found[1] < claimed[0] || claimed[1] < found[0] {
            Self::DoesNotHold
        } else {
            Self::Undecided
        }
    }
}

/// A claim and the result of testing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The claim.
    pub claim: String,
    /// The table or figure that it was tested on.
    pub exhibit: String,
    /// What was measured.
    pub measured: String,
    /// The test and its uncertainty.
    pub statistic: String,
    /// The result.
    pub verdict: Verdict,
}

impl Claim {
    pub(super) fn not_measured(claim: impl Into<String>, exhibit: &Exhibit<'_>) -> Self {
        let (measured, statistic) = ("-".into(), "-".into());
        let (claim, exhibit) = (claim.into(), exhibit.name.to_owned());
        Self { claim, exhibit, measured, statistic, verdict: Verdict::NotMeasured }
    }

    /// The claims that `test` makes about each setting of the exhibit, given the text that identifies the setting: nothing if
    /// it is the only one, its label otherwise. A setting without claims was not measured.
    pub(super) fn for_each_setting(
        claim: &str,
        exhibit: &Exhibit<'_>,
        test: impl Fn(&str, &[&Run]) -> Vec<Self>,
    ) -> Vec<Self> {
        if exhibit.settings.is_empty() {
            return vec![Self::not_measured(claim, exhibit)];
        }
        let tested = exhibit.settings.iter().flat_map(|Setting { label, runs, .. }| {
            let subject =
                if exhibit.settings.len() == 1 { setting(runs[0]).join(", ") } else { label.clone() };
            let tested = test(&subject, runs);
            let nothing = || vec![Self::not_measured(format!("{claim}: {subject}"), exhibit)];
            if tested.is_empty() { nothing() } else { tested }
        });
        tested.collect()
    }
}

/// The rows of one kind at each update, from every run that has one there.
pub(super) fn by_step<'a, T>(
    runs: &[&'a Run],
    rows: impl Fn(&'a Run) -> Vec<T>,
    step: impl Fn(&T) -> u64,
) -> Vec<Vec<T>> {
    let mut steps: BTreeMap<u64, Vec<T>> = BTreeMap::new();
    for row in runs.iter().flat_map(|run| rows(run)) {
        steps.entry(step(&row)).or_default().push(row);
    }
    steps.into_values().collect()
}

/// A claim as stated for `n_runs` runs that differ in their seeds; with a single run, only about that run.
pub(super) fn stated(claim: &str, n_runs: usize) -> String {
    if n_runs == 1 { format!("{claim}, in this run") } else { claim.into() }
}
