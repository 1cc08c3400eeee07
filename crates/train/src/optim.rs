//! The `[optim]` section: the optimizer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_core::SgdStep;

use crate::TrainError;

/// The optimizer and its hyperparameters; the learning rate is constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptimConfig {
    /// How the gradient of an update is computed.
    #[serde(default)]
    pub method: Method,
    /// Learning rate η, constant.
    pub lr: f64,
    /// B: number of samples per update of SGD, or per accumulated chunk of GD.
    #[serde(default = "paper_batch_size")]
    pub batch_size: usize,
    /// Momentum m, as in PyTorch's SGD; 0 for plain SGD.
    #[serde(default)]
    pub momentum: f64,
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
        for (key, set) in [("replacement", self.replacement), ("drop_last", self.drop_last)] {
            if set && self.method == Method::Gd {
                let key = format!("optim.{key}");
                return Err(TrainError::value(&key, "true", "false: `method` = \"gd\" uses all samples"));
            }
        }
        Ok(())
    }

    fn constants(&self) -> [(&'static str, f64); 3] {
        [("lr", self.lr), ("momentum", self.momentum), ("weight_decay", self.weight_decay)]
    }

    /// Remarks on valid values that are probably not what the user meant, one sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let vanishing =
            self.constants().into_iter().filter(|&(_, value)| value != 0.0 && value as f32 == 0.0);
        vanishing
            .map(|(key, value)| format!("`optim.{key}` = {value:?} is 0 in f32 and has no effect"))
            .collect()
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
    pub(crate) fn samples_per_epoch(&self, samples: usize) -> usize {
        match self.method {
            Method::Sgd if self.drop_last || self.replacement => {
                self.updates_per_epoch(samples) * self.batch_size
            }
            Method::Sgd | Method::Gd => samples,
        }
    }

    pub(crate) fn step(&self) -> SgdStep {
        SgdStep { lr: self.lr as f32, momentum: self.momentum as f32, weight_decay: self.weight_decay as f32 }
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
        }
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
        assert_eq!(tiny.remarks(), expected);
        assert!(config().remarks().is_empty());
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
