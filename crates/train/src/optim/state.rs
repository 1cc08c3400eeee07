//! What an optimizer remembers between updates, and its updates.

use walk_core::{AdamMoments, AdamStep, SgdStep, adam_step, sgd_step, weight_sum};
use walk_record::Values;

use super::{OptimConfig, Rule};
use crate::TrainError;

/// What an optimizer remembers between updates.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OptimizerState {
    /// Nothing yet.
    #[default]
    Fresh,
    /// SGD's velocity v, of length P.
    Sgd {
        /// v
        velocity: Vec<f32>,
    },
    /// The running means of Adam and AdamW, of length P.
    Adam {
        /// m, the mean of the gradients.
        first: Vec<f32>,
        /// v, the mean of their squares.
        second: Vec<f32>,
        /// t: number of updates that they contain.
        updates: u64,
    },
}

impl OptimizerState {
    /// The names of the lists that it may consist of.
    pub(crate) const LISTS: [&'static str; 4] = ["velocity", "first_moment", "second_moment", "adam_updates"];

    /// Its named lists; a velocity of 0 has none.
    pub(crate) fn lists(&self) -> Vec<(&'static str, Values)> {
        let [velocity, first_moment, second_moment, adam_updates] = Self::LISTS;
        match self {
            Self::Sgd { velocity: values } if values.iter().any(|&v| v != 0.0) => {
                vec![(velocity, Values::F32(values.clone()))]
            }
            Self::Fresh | Self::Sgd { .. } => vec![],
            Self::Adam { first, second, updates } => vec![
                (first_moment, Values::F32(first.clone())),
                (second_moment, Values::F32(second.clone())),
                (adam_updates, Values::U64(vec![*updates])),
            ],
        }
    }

    /// The inverse of [`OptimizerState::lists`] for `n_params` parameters, given the values of each of its names that are known.
    ///
    /// # Errors
    /// [`TrainError::State`] for lists that are missing or of another length.
    pub(crate) fn from_lists<'v>(
        find: impl Fn(&str) -> Option<&'v Values>,
        n_params: usize,
    ) -> Result<Self, TrainError> {
        let [velocity, first_moment, second_moment, adam_updates] = Self::LISTS;
        let wrong = |name: &str| TrainError::State { what: name.to_owned() };
        let f32s = |name: &str| match find(name) {
            Some(Values::F32(values)) if values.len() == n_params => Ok(values.clone()),
            _ => Err(wrong(name)),
        };
        if find(velocity).is_some() {
            return Ok(Self::Sgd { velocity: f32s(velocity)? });
        }
        match find(adam_updates) {
            None => Ok(Self::Fresh),
            Some(Values::U64(updates)) if updates.len() == 1 => Ok(Self::Adam {
                first: f32s(first_moment)?,
                second: f32s(second_moment)?,
                updates: updates[0],
            }),
            Some(_) => Err(wrong(adam_updates)),
        }
    }

    /// Gives the optimizer the memory that its rule needs for `n_params` parameters. What another rule remembered is dropped.
    pub(crate) fn prepare(&mut self, rule: Rule, n_params: usize) {
        let zeros = || vec![0.0; n_params];
        match (rule, &self) {
            (Rule::Sgd, Self::Sgd { .. }) | (Rule::Adam | Rule::Adamw, Self::Adam { .. }) => {}
            (Rule::Sgd, _) => *self = Self::Sgd { velocity: zeros() },
            (Rule::Adam | Rule::Adamw, _) => {
                *self = Self::Adam { first: zeros(), second: zeros(), updates: 0 };
            }
        }
    }

    /// Writes θ after an update with learning rate `lr` to `out`.
    ///
    /// # Panics
    /// If the state is fresh, or lengths differ. The state, which [`OptimizerState::prepare`] fits to the rule, decides what is done.
    pub(crate) fn update(
        &mut self,
        optim: &OptimConfig,
        lr: f64,
        params: &[f32],
        grad: &[f32],
        out: &mut [f32],
    ) {
        let (lr, weight_decay) = (lr as f32, optim.weight_decay as f32);
        match self {
            Self::Fresh => unreachable!("the state is prepared before the first update"),
            Self::Sgd { velocity } => {
                let momentum = optim.momentum as f32;
                let step = SgdStep { lr, momentum, weight_decay, nesterov: optim.nesterov };
                sgd_step(step, params, grad, velocity, out);
            }
            Self::Adam { first, second, updates } => {
                *updates += 1;
                let constants = optim.adam_constants();
                let step = AdamStep {
                    lr,
                    beta1: constants.beta1,
                    beta2: constants.beta2,
                    epsilon: constants.epsilon as f32,
                    weight_decay,
                    decoupled: optim.rule == Rule::Adamw,
                    update: *updates,
                };
                adam_step(step, params, grad, AdamMoments { first, second }, out);
            }
        }
    }

    /// The diagonal of Adam's preconditioner after its last update, P = (1 - β₁ᵗ) (√v̂ + ε) with v̂ = v / (1 - β₂ᵗ), of length P, so that
    /// the update is θ - η P⁻¹ m (Cohen et al., 2022, arXiv 2207.14484). `None` for SGD, whose preconditioner is 1.
    pub(crate) fn preconditioner(&self, optim: &OptimConfig) -> Option<Vec<f32>> {
        let Self::Adam { second, updates, .. } = self else { return None };
        let constants = optim.adam_constants();
        let [first_sum, second_sum] =
            [constants.beta1, constants.beta2].map(|beta| weight_sum(beta, (*updates).max(1)));
        let diagonal =
            |&v: &f32| (first_sum * ((f64::from(v) / second_sum).sqrt() + constants.epsilon)) as f32;
        Some(second.iter().map(diagonal).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::config;

    #[test]
    fn the_preconditioner_is_what_the_update_divides_by() {
        let optim = OptimConfig { rule: Rule::Adam, weight_decay: 0.0, lr: 0.01, ..config() };
        let mut state = OptimizerState::default();
        state.prepare(optim.rule, 3);
        let (mut params, mut next) = (vec![1.0f32, -2.0, 3.0], vec![0.0; 3]);
        for step in 0..5 {
            let grad = [0.5 + step as f32, -1.0, 1e-3 * step as f32];
            state.update(&optim, optim.lr, &params, &grad, &mut next);
            let diagonal = state.preconditioner(&optim).unwrap();
            let OptimizerState::Adam { first, .. } = &state else { panic!("{state:?}") };
            for i in 0..3 {
                let expected = params[i] - 0.01 * first[i] / diagonal[i];
                assert!((next[i] - expected).abs() < 1e-6, "{} {expected}", next[i]);
            }
            params.copy_from_slice(&next);
        }
    }

    #[test]
    fn another_rule_resets_the_memory_and_the_same_rule_keeps_it() {
        let mut state = OptimizerState::Sgd { velocity: vec![1.0] };
        state.prepare(Rule::Sgd, 1);
        assert_eq!(state, OptimizerState::Sgd { velocity: vec![1.0] });
        state.prepare(Rule::Adam, 1);
        assert_eq!(state, OptimizerState::Adam { first: vec![0.0], second: vec![0.0], updates: 0 });
        let old = OptimizerState::Adam { first: vec![1.0], second: vec![2.0], updates: 3 };
        state = old.clone();
        state.prepare(Rule::Adamw, 1);
        assert_eq!(state, old);
    }
}
