//! `[optim.adam]`: the constants of Adam.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// The constants of Adam and AdamW; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdamSection {
    /// β₁: decay rate of the running mean of the gradients.
    #[serde(default = "usual_beta1")]
    pub beta1: f64,
    /// β₂: decay rate of the running mean of their squares.
    #[serde(default = "usual_beta2")]
    pub beta2: f64,
    /// ε, added to the root of the mean of the squares.
    #[serde(default = "usual_epsilon")]
    pub epsilon: f64,
}

const fn usual_beta1() -> f64 {
    0.9
}

const fn usual_beta2() -> f64 {
    0.999
}

const fn usual_epsilon() -> f64 {
    1e-8
}

impl Default for AdamSection {
    fn default() -> Self {
        Self { beta1: usual_beta1(), beta2: usual_beta2(), epsilon: usual_epsilon() }
    }
}

impl AdamSection {
    /// Checks every value.
    ///
    /// # Errors
    /// [`TrainError::Value`] for the first invalid value.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        for (key, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) || beta as f32 >= 1.0 {
                let key = format!("optim.adam.{key}");
                return Err(TrainError::value(&key, beta, "a number of at least 0 and below 1"));
            }
        }
        // a gradient of 0 would give 0 / 0
        if !(self.epsilon as f32 > 0.0 && (self.epsilon as f32).is_finite()) {
            let expected = "a number above 0 that f32 can represent";
            return Err(TrainError::value("optim.adam.epsilon", format!("{:?}", self.epsilon), expected));
        }
        Ok(())
    }
}
