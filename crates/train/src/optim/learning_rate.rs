//! `[optim.schedule]`: the learning rate of each update.

use std::f64::consts::PI;

use crate::{Position, TrainError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate changes: η_t = `optim.lr` times a factor. The factor rises linearly over `warmup` updates, then
/// follows `kind`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearningRateSchedule {
    /// What the learning rate does after the warm-up.
    #[serde(default)]
    pub kind: ScheduleKind,
    /// W: number of updates of linear warm-up; update t ≤ W has the factor t/W. PyTorch: `LinearLR(1/W, 1, W-1)`.
    #[serde(default)]
    pub warmup: u32,
    /// For `step`: epochs after which the factor is multiplied by `factor`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<u32>,
    /// For `step`: what the learning rate is multiplied by at each milestone; 0.1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// For `cosine` and `warmup_stable_decay`: number of epochs at whose end the learning rate reaches its final value, which
    /// it then keeps; `epochs` of the experiment by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u32>,
    /// For `warmup_stable_decay`: number of updates of the linear decay at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<u32>,
    /// For `cosine` and `warmup_stable_decay`: the factor at the end; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_factor: Option<f64>,
}

/// What the learning rate does after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// It stays at `optim.lr`.
    #[default]
    Constant,
    /// It is multiplied by `factor` after each of the epochs `milestones`. PyTorch: `MultiStepLR`.
    Step,
    /// It falls along half a cosine to `final_factor` (Loshchilov and Hutter, 2017). PyTorch: `CosineAnnealingLR`.
    Cosine,
    /// It stays at `optim.lr`, then falls linearly to `final_factor` over the last `decay` updates.
    WarmupStableDecay,
}

impl LearningRateSchedule {
    /// Fills in the defaults of the keys that `kind` uses, in an experiment of `epochs` epochs.
    pub fn resolve(&mut self, epochs: u32) {
        match self.kind {
            ScheduleKind::Constant => {}
            ScheduleKind::Step => {
                self.factor.get_or_insert(0.1);
            }
            ScheduleKind::Cosine | ScheduleKind::WarmupStableDecay => {
                self.epochs.get_or_insert(epochs);
                self.final_factor.get_or_insert(0.0);
            }
        }
    }

    /// Checks every value; an epoch has `updates` updates.
    ///
    /// # Errors
    /// [`TrainError::Value`] for the first invalid value.
    pub(super) fn check(&self, updates: usize) -> Result<(), TrainError> {
        let Self { kind, milestones, factor, epochs, decay, final_factor, .. } = self;
        let error = |key: &str, found: String, expected: &str| {
            Err(TrainError::value(&format!("optim.schedule.{key}"), found, expected))
        };
        let (is_step, has_end) = (
            *kind == ScheduleKind::Step,
            matches!(kind, ScheduleKind::Cosine | ScheduleKind::WarmupStableDecay),
        );
        let is_stable = *kind == ScheduleKind::WarmupStableDecay;
        let unused = [
            (
                "milestones",
                !milestones.is_empty() && !is_step,
                "it to be absent, since it belongs to `kind = \"step\"`",
            ),
            (
                "factor",
                factor.is_some() && !is_step,
                "it to be absent, since it belongs to `kind = \"step\"`",
            ),
            (
                "epochs",
                epochs.is_some() && !has_end,
                "it to be absent, since it belongs to the kinds `cosine` and `warmup_stable_decay`",
            ),
            (
                "decay",
                decay.is_some() && !is_stable,
                "it to be absent, since it belongs to `kind = \"warmup_stable_decay\"`",
            ),
            (
                "final_factor",
                final_factor.is_some() && !has_end,
                "it to be absent, since it belongs to the kinds `cosine` and `warmup_stable_decay`",
            ),
        ];
        if let Some((key, _, expected)) = unused.into_iter().find(|(_, is_unused, _)| *is_unused) {
            return error(key, "set".into(), expected);
        }
        let is_factor = |factor: f64| factor.is_finite() && factor >= 0.0;
        for (key, value) in [("factor", factor), ("final_factor", final_factor)] {
            if let Some(value) = value.filter(|&value| !is_factor(value)) {
                return error(key, format!("{value:?}"), "a finite number of at least 0");
            }
        }
        if is_step && (milestones.is_empty() || !milestones.is_sorted_by(|a, b| a < b) || milestones[0] == 0)
        {
            return error("milestones", format!("{milestones:?}"), "epochs from 1 in ascending order");
        }
        if is_stable && decay.unwrap_or(0) == 0 {
            let found = decay.map_or_else(|| "missing".into(), |decay| decay.to_string());
            return error("decay", found, "the number of updates of the final decay, at least 1");
        }
        if let Some(epochs) = epochs {
            let total = u64::from(*epochs) * updates as u64;
            let needed = u64::from(self.warmup) + u64::from(decay.unwrap_or(0));
            if total <= needed {
                let expected = format!(
                    "more than {needed} updates, those of the warm-up and the decay; {epochs} epochs have {total}"
                );
                return error("epochs", epochs.to_string(), &expected);
            }
        }
        Ok(())
    }

    /// The factor of an update. The warm-up counts the run's updates. Epochs are counted as such, since before a fork they may
    /// have had another number of updates.
    pub(super) fn factor(&self, at: Position) -> f64 {
        let (warmup, updates) = (u64::from(self.warmup), u64::from(at.updates));
        if at.step.0 <= warmup {
            return at.step.0 as f64 / warmup as f64;
        }
        let epochs_done = u64::from(at.epoch) - 1;
        let done = epochs_done * updates + u64::from(at.iteration) - 1;
        let total = u64::from(self.epochs.unwrap_or(0)) * updates;
        let last = self.final_factor.unwrap_or(0.0);
        // from 1 at 0 to the final factor at 1
        let toward_last = |kept: f64| last + (1.0 - last) * kept;
        match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Step => {
                let passed = self.milestones.iter().filter(|&&epoch| u64::from(epoch) <= epochs_done).count();
                self.factor.unwrap_or(0.1).powi(passed as i32)
            }
            ScheduleKind::Cosine => {
                let part = done.saturating_sub(warmup) as f64 / (total - warmup) as f64;
                toward_last(0.5 * (1.0 + (PI * part.min(1.0)).cos()))
            }
            ScheduleKind::WarmupStableDecay => {
                let decay = u64::from(self.decay.unwrap_or(0));
                let part = (done + decay).saturating_sub(total) as f64 / decay.max(1) as f64;
                toward_last(1.0 - part.min(1.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use walk_core::Step;

    use super::*;

    /// An update of a run whose epochs have `updates` updates, and of which `before` others have come before a fork.
    fn position(step: u32, updates: u32, before: u32) -> Position {
        let (epoch, iteration) = ((step - 1) / updates + 1, (step - 1) % updates + 1);
        Position { epoch, iteration, updates, step: Step(u64::from(step + before)) }
    }

    fn factors(schedule: &LearningRateSchedule, count: u32) -> Vec<f64> {
        (1..=count).map(|step| schedule.factor(position(step, 5, 0))).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert!(
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?} {expected:?}"
        );
    }

    #[test]
    fn each_kind_has_its_shape() {
        let schedule = |kind| {
            let mut schedule = LearningRateSchedule { kind, warmup: 4, ..LearningRateSchedule::default() };
            if kind == ScheduleKind::Step {
                schedule.milestones = vec![1, 2];
            }
            if kind == ScheduleKind::WarmupStableDecay {
                schedule.decay = Some(4);
            }
            schedule.resolve(2);
            schedule.check(5).unwrap();
            schedule
        };
        let warmup = [0.25, 0.5, 0.75, 1.0];
        let expected = |rest: &[f64]| [warmup.as_slice(), rest].concat();
        close(&factors(&schedule(ScheduleKind::Constant), 6), &expected(&[1.0, 1.0]));
        let step = expected(&[1.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.01]);
        close(&factors(&schedule(ScheduleKind::Step), 11), &step);
        let decay = expected(&[1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]);
        close(&factors(&schedule(ScheduleKind::WarmupStableDecay), 12), &decay);
        let cosine = factors(&schedule(ScheduleKind::Cosine), 12);
        close(&cosine[4..8], &[1.0, 0.5 + 0.25 * 3f64.sqrt(), 0.75, 0.5]);
        close(&cosine[10..], &[0.0, 0.0]);
        let raised = LearningRateSchedule { final_factor: Some(0.2), ..schedule(ScheduleKind::Cosine) };
        close(&factors(&raised, 11)[10..], &[0.2]);
    }

    #[test]
    fn a_fork_with_another_number_of_updates_stays_in_its_epoch() {
        let schedule = |kind, milestones: &[u32]| {
            let milestones = milestones.to_vec();
            let mut schedule = LearningRateSchedule { kind, milestones, ..LearningRateSchedule::default() };
            schedule.resolve(4);
            schedule
        };
        // two epochs of four updates, then two of two
        let after = |schedule: &LearningRateSchedule| -> Vec<f64> {
            (5..=8).map(|step| schedule.factor(position(step, 2, 4))).collect()
        };
        let cosine = after(&schedule(ScheduleKind::Cosine, &[]));
        close(&cosine, &[4.0, 5.0, 6.0, 7.0].map(|done| 0.5 * (1.0 + (PI * done / 8.0).cos())));
        close(&after(&schedule(ScheduleKind::Step, &[3])), &[1.0, 1.0, 0.1, 0.1]);
    }

    #[test]
    fn keys_of_another_kind_and_impossible_lengths_are_refused() {
        let error = |change: fn(&mut LearningRateSchedule)| {
            let mut schedule = LearningRateSchedule::default();
            change(&mut schedule);
            schedule.resolve(2);
            schedule.check(5).unwrap_err().to_string()
        };
        assert_eq!(
            error(|s| s.milestones = vec![1]),
            "`optim.schedule.milestones` = set, expected it to be absent, since it belongs to `kind = \"step\"`"
        );
        assert!(error(|s| s.final_factor = Some(0.1)).contains("belongs to the kinds `cosine`"));
        assert!(error(|s| s.kind = ScheduleKind::Step).contains("epochs from 1 in ascending order"));
        assert!(error(|s| s.kind = ScheduleKind::WarmupStableDecay).contains("`optim.schedule.decay`"));
        let long = |s: &mut LearningRateSchedule| (s.kind, s.warmup) = (ScheduleKind::Cosine, 10);
        assert!(error(long).contains("more than 10 updates"), "{}", error(long));
        let negative = |s: &mut LearningRateSchedule| {
            (s.kind, s.final_factor) = (ScheduleKind::Cosine, Some(-1.0));
        };
        assert!(error(negative).contains("a finite number of at least 0"));
    }
}
