//! The `[optim]` section: the optimizer.

mod adam;
mod learning_rate;
mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::adam::AdamSection;
pub use self::learning_rate::{LearningRateSchedule, ScheduleKind};
pub use self::state::OptimizerState;
use crate::{Position, TrainError};

/// The optimizer and its hyperparameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptimConfig {
    /// How the gradient of an update is computed.
    #[serde(default)]
    pub method: Method,
    /// How an update follows from the gradient.
    #[serde(default)]
    pub rule: Rule,
    /// Learning rate η; with a `schedule`, the value that its factors multiply.
    pub lr: f64,
    /// B: number of samples per update of SGD, or per accumulated chunk of GD.
    #[serde(default = "paper_batch_size")]
    pub batch_size: usize,
    /// Momentum m of the rule `sgd`, as in PyTorch's SGD; 0 for plain SGD.
    #[serde(default)]
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    #[serde(default)]
    pub nesterov: bool,
    /// Weight decay λ, applied to every parameter. The paper's runs used 1e-4.
    #[serde(default = "paper_weight_decay")]
    pub weight_decay: f64,
    /// How GD combines the gradients of its chunks.
    #[serde(default)]
    pub accumulate: Accumulate,
    /// Whether each batch is drawn from all samples, so that a sample may occur more than once in an epoch.
    #[serde(default)]
    pub replacement: bool,
    /// Whether to drop the last batch of an epoch if it is incomplete.
    #[serde(default)]
    pub drop_last: bool,
    /// The constants of the rules `adam` and `adamw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adam: Option<AdamSection>,
    /// How the learning rate changes; constant by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<LearningRateSchedule>,
}

/// How an update follows from the gradient, by the rules of PyTorch's `torch.optim`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Stochastic gradient descent, with `momentum` if set.
    #[default]
    Sgd,
    /// Adam (Kingma and Ba, 2015); weight decay is part of the gradient.
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    Adamw,
}

impl Rule {
    /// Its name in an experiment.
    const fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Adam => "adam",
            Self::Adamw => "adamw",
        }
    }
}

/// How the gradient of an update is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// From one mini-batch; each epoch visits every sample once, in a new random order.
    #[default]
    Sgd,
    /// From all samples, in chunks of `batch_size` with batch norm per chunk; each epoch is one update.
    Gd,
}

/// How GD combines the gradients of its chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Accumulate {
    /// Their mean, weighted by their samples: the gradient of the mean loss.
    #[default]
    Mean,
    /// Their sum, as in the authors' code: with 9 chunks, a learning rate of 0.1 acts like 0.9.
    Sum,
}

const fn paper_batch_size() -> usize {
    100
}

const fn paper_weight_decay() -> f64 {
    1e-4
}

impl OptimConfig {
    /// Checks every value against the number of training samples.
    ///
    /// # Errors
    /// [`TrainError::Value`] for the first invalid value.
    pub fn check(&self, samples: usize) -> Result<(), TrainError> {
        let error = |key, found: &dyn ToString, expected: &str| {
            Err(TrainError::value(key, found.to_string(), expected))
        };
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return error("optim.lr", &self.lr, "a finite number above 0");
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return error("optim.momentum", &self.momentum, "a number of at least 0 and below 1");
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return error("optim.weight_decay", &self.weight_decay, "a finite number of at least 0");
        }
        self.check_rule()?;
        for ((key, value), limit) in self.constants().into_iter().zip([f32::INFINITY, 1.0, f32::INFINITY]) {
            // θ and its updates are in f32
            let held = value as f32;
            if held >= limit {
                let expected = format!("a number that f32 can represent; it would become {held}");
                return Err(TrainError::value(&format!("optim.{key}"), format!("{value:?}"), expected));
            }
        }
        if !(1..=samples).contains(&self.batch_size) {
            let expected = format!("1 to {samples}, the number of training samples");
            return error("optim.batch_size", &self.batch_size, &expected);
        }
        if let Some(schedule) = &self.schedule {
            schedule.check(self.updates_per_epoch(samples))?;
        }
        for (key, set) in [("replacement", self.replacement), ("drop_last", self.drop_last)] {
            if set && self.method == Method::Gd {
                let key = format!("optim.{key}");
                return Err(TrainError::value(&key, "true", "false: `method` = \"gd\" uses all samples"));
            }
        }
        Ok(())
    }

    /// Checks that the keys of one rule are not used with another.
    fn check_rule(&self) -> Result<(), TrainError> {
        let rule = self.rule.name();
        if self.nesterov && self.momentum == 0.0 {
            return Err(TrainError::value("optim.nesterov", "true", "false: `optim.momentum` is 0"));
        }
        match (&self.adam, self.rule) {
            (Some(_), Rule::Sgd) => {
                let expected = format!(
                    "it to be absent, since it belongs to the rules `adam` and `adamw`: set `optim.rule` = \"adam\" to use it; a fork of a run with Adam changes the rule by `--set 'optim={{rule=\"{rule}\", ...}}'`"
                );
                Err(TrainError::value("optim.adam", "set", expected))
            }
            (_, Rule::Adam | Rule::Adamw) if self.momentum != 0.0 => {
                let expected = format!("0: `optim.rule` = \"{rule}\" has `optim.adam.beta1` instead");
                Err(TrainError::value("optim.momentum", self.momentum, expected))
            }
            (Some(adam), _) => adam.check(),
            (None, _) => Ok(()),
        }
    }

    /// Fills in the defaults that depend on other keys, in an experiment of `epochs` epochs.
    pub fn resolve(&mut self, epochs: u32) {
        if self.rule != Rule::Sgd {
            self.adam.get_or_insert_default();
        }
        if let Some(schedule) = &mut self.schedule {
            schedule.resolve(epochs);
        }
    }

    /// Number of vectors of the size of θ that the optimizer remembers between updates.
    pub fn remembered(&self) -> usize {
        match self.rule {
            Rule::Sgd => usize::from(self.momentum > 0.0),
            Rule::Adam | Rule::Adamw => 2,
        }
    }

    /// The constants of Adam.
    pub(crate) fn adam_constants(&self) -> AdamSection {
        self.adam.unwrap_or_default()
    }

    /// η of an update.
    pub(crate) fn learning_rate(&self, at: Position) -> f64 {
        self.lr * self.schedule.as_ref().map_or(1.0, |schedule| schedule.factor(at))
    }

    fn constants(&self) -> [(&'static str, f64); 3] {
        [("lr", self.lr), ("momentum", self.momentum), ("weight_decay", self.weight_decay)]
    }

    /// Remarks on valid values that are probably not what the user meant, one sentence each.
    ///
    /// They are about an experiment of `epochs` epochs.
    pub fn remarks(&self, epochs: u32) -> Vec<String> {
        let vanishing =
            self.constants().into_iter().filter(|&(_, value)| value != 0.0 && value as f32 == 0.0);
        let vanishing =
            vanishing.map(|(key, value)| format!("`optim.{key}` = {value:?} is 0 in f32 and has no effect"));
        let milestones = self.schedule.iter().flat_map(|schedule| &schedule.milestones);
        let never = milestones.filter(|&&milestone| milestone >= epochs).map(|milestone| {
            format!(
                "`optim.schedule.milestones`: epoch {milestone} has no effect, because the run ends by then"
            )
        });
        let is_unused = self.accumulate == Accumulate::Sum && self.method == Method::Sgd;
        let unused = is_unused.then(|| {
            "`optim.accumulate` has no effect: `method` = \"sgd\" does not accumulate gradients".to_owned()
        });
        let end =
            self.schedule.as_ref().and_then(|schedule| Some((schedule.epochs?, schedule.final_factor?)));
        let ended = end.filter(|&(end, _)| end < epochs).map(|(end, factor)| {
            format!(
                "`optim.schedule.epochs` = {end}: from epoch {} on, the learning rate is {}",
                end + 1,
                factor * self.lr
            )
        });
        vanishing.chain(never).chain(unused).chain(ended).collect()
    }

    /// Updates per epoch; the last batch may be incomplete, unless it is dropped or batches are drawn with replacement.
    pub fn updates_per_epoch(&self, samples: usize) -> usize {
        match self.method {
            Method::Sgd if self.drop_last => samples / self.batch_size,
            Method::Sgd => samples.div_ceil(self.batch_size),
            Method::Gd => 1,
        }
    }

    /// Number of samples in the batches of an epoch, including repetitions.
    pub fn samples_per_epoch(&self, samples: usize) -> usize {
        match self.method {
            Method::Sgd if self.drop_last || self.replacement => {
                self.updates_per_epoch(samples) * self.batch_size
            }
            Method::Sgd | Method::Gd => samples,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config() -> OptimConfig {
        OptimConfig {
            method: Method::Sgd,
            lr: 0.1,
            batch_size: 100,
            momentum: 0.0,
            weight_decay: 1e-4,
            accumulate: Accumulate::Mean,
            replacement: false,
            drop_last: false,
            rule: Rule::Sgd,
            nesterov: false,
            adam: None,
            schedule: None,
        }
    }

    #[test]
    fn keys_of_another_rule_are_refused() {
        let message = |change: fn(&mut OptimConfig)| {
            let mut config = config();
            change(&mut config);
            config.check(1000).unwrap_err().to_string()
        };
        let expected = "`optim.nesterov` = true, expected false: `optim.momentum` is 0";
        assert_eq!(message(|c| c.nesterov = true), expected);
        assert!(
            message(|c| c.adam = Some(AdamSection::default()))
                .starts_with("`optim.adam` = set, expected it to be absent")
        );
        let momentum = |c: &mut OptimConfig| (c.rule, c.momentum) = (Rule::Adam, 0.9);
        assert!(message(momentum).contains("has `optim.adam.beta1` instead"));
        let beta = |c: &mut OptimConfig| {
            (c.rule, c.adam) = (Rule::Adamw, Some(AdamSection { beta2: 1.0, ..AdamSection::default() }));
        };
        assert!(message(beta).starts_with("`optim.adam.beta2` = 1,"), "{}", message(beta));
    }

    #[test]
    fn refuses_values_that_cannot_be_used() {
        let message = |change: fn(&mut OptimConfig)| {
            let mut config = config();
            change(&mut config);
            config.check(1000).unwrap_err().to_string()
        };
        assert_eq!(message(|c| c.lr = f64::INFINITY), "`optim.lr` = inf, expected a finite number above 0");
        assert_eq!(message(|c| c.lr = f64::NAN), "`optim.lr` = NaN, expected a finite number above 0");
        assert!(message(|c| c.momentum = 1.0).starts_with("`optim.momentum` = 1,"));
        assert!(message(|c| c.weight_decay = -0.1).starts_with("`optim.weight_decay` = -0.1,"));
        assert!(
            message(|c| c.batch_size = 1001).contains("expected 1 to 1000, the number of training samples")
        );
        let scheduled = |c: &mut OptimConfig| {
            (c.batch_size, c.schedule) = (0, Some(LearningRateSchedule::default()));
        };
        assert!(message(scheduled).starts_with("`optim.batch_size` = 0,"));
        config().check(1000).unwrap();
    }

    #[test]
    fn what_f32_makes_another_number_is_refused_or_said() {
        let check = |change: fn(&mut OptimConfig)| {
            let mut config = config();
            change(&mut config);
            config.check(1000).map_err(|error| error.to_string())
        };
        assert!(check(|c| c.lr = 1e39).unwrap_err().ends_with("it would become inf"));
        assert!(check(|c| c.momentum = 0.999_999_99).unwrap_err().ends_with("it would become 1"));
        assert!(check(|c| c.weight_decay = 1e39).unwrap_err().ends_with("it would become inf"));
        for good in [
            |c: &mut OptimConfig| c.lr = 1e-44,
            |c: &mut OptimConfig| c.momentum = 0.999_999,
            |c: &mut OptimConfig| c.weight_decay = 0.0,
        ] {
            check(good).unwrap();
        }
        // a learning rate of 0 leaves θ unchanged, which may be intended
        let tiny = OptimConfig { lr: 1e-50, momentum: 1e-50, weight_decay: 0.0, ..config() };
        tiny.check(1000).unwrap();
        let expected =
            ["lr", "momentum"].map(|key| format!("`optim.{key}` = 1e-50 is 0 in f32 and has no effect"));
        assert_eq!(tiny.remarks(9), expected);
        assert!(config().remarks(9).is_empty());
        let sum = OptimConfig { accumulate: Accumulate::Sum, ..config() };
        assert!(sum.remarks(9)[0].starts_with("`optim.accumulate` has no effect"), "{:?}", sum.remarks(9));
        assert!(OptimConfig { method: Method::Gd, ..sum }.remarks(9).is_empty());
    }

    #[test]
    fn a_short_last_batch_is_an_update() {
        assert_eq!(config().updates_per_epoch(1001), 11);
        assert_eq!(OptimConfig { method: Method::Gd, ..config() }.updates_per_epoch(1001), 1);
        assert_eq!(config().samples_per_epoch(1001), 1001);
        assert_eq!(OptimConfig { drop_last: true, ..config() }.samples_per_epoch(1001), 1000);
        assert_eq!(OptimConfig { replacement: true, ..config() }.samples_per_epoch(1001), 1100);
    }
}
