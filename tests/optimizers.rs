//! Optimizers and schedules against torch.optim: fixtures made by scripts/make_optimizer_fixtures.py.

use std::rc::Rc;
use std::sync::Arc;

use serde::Deserialize;
use walk_core::{Fused, Loss, Model, Seed};
use walk_data::Split;
use walk_record::rows::Train;
use walk_record::{MetricsMark, checkpoint_bytes, rows_of};
use walk_train::{Ranks, SavedState, Solo, TrainConfig, TrainState, state_from_bytes, state_tensors, train};

use crate::networks::point;
use crate::probes::{Fixture, Rows, descent, fixture, network, split};
use crate::support::root;

#[derive(Deserialize)]
struct Cases {
    updates: u32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    optim: serde_json::Value,
    rates: Vec<f64>,
    theta: Vec<f64>,
    names: Vec<String>,
}

fn cases() -> Cases {
    serde_json::from_slice(&std::fs::read(root().join("tests/fixtures/optimizers.json")).unwrap()).unwrap()
}

/// Training of a case's network.
struct Training<'a> {
    fixture: &'a Fixture,
    split: Split,
    model: Model,
    case: &'a Case,
    /// All of its updates.
    updates: u32,
}

impl<'a> Training<'a> {
    fn new(fixture: &'a Fixture, case: &'a Case, updates: u32) -> Self {
        let network = network(fixture, "tanh", false);
        let model = Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy);
        Self { fixture, split: split(fixture), model, case, updates }
    }

    fn start(&self) -> TrainState {
        TrainState::new(point(self.model.network(), &self.case.names))
    }

    /// Trains up to update `end`; returns the state and the learning rates.
    fn continued(&self, start: TrainState, end: u32) -> (TrainState, Vec<f64>) {
        let optim = descent(self.fixture, self.case.optim.clone(), self.updates);
        let config = TrainConfig { epochs: end, seed: Seed(1), optim, record_order: false };
        let (ranks, mut rows): (Arc<dyn Ranks>, _) = (Arc::new(Solo), Rows(vec![]));
        let end = train(&self.model, &self.split, &config, start, &mut [], &mut rows, &ranks).unwrap();
        (end, rows_of::<Train>(&rows.0).map(|row| row.lr).collect())
    }
}

#[test]
fn every_rule_and_schedule_follows_pytorch() {
    let (fixture, Cases { updates, cases }) = (fixture(), cases());
    assert_eq!((updates, cases.len()), (50, 13));
    for case in &cases {
        let training = Training::new(&fixture, case, updates);
        let (end, rates) = training.continued(training.start(), updates);
        let largest =
            |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, |most: f64, x| most.max(x.abs()));
        let apart = largest(&mut rates.iter().zip(&case.rates).map(|(found, expected)| found - expected));
        assert!(
            rates.len() == case.rates.len() && apart < 1e-12,
            "{}: {rates:?} {:?}",
            case.name,
            case.rates
        );
        let found = end.point.params.iter().map(|&x| f64::from(x));
        let apart = largest(&mut found.zip(&case.theta).map(|(found, expected)| found - expected));
        let scale = largest(&mut case.theta.iter().copied());
        assert!(apart < 1e-5 * scale, "{}: off by {:e}", case.name, apart / scale);
    }
}

#[test]
fn training_that_continues_from_a_checkpoint_gives_the_same_bits() {
    let (fixture, Cases { updates, cases }) = (fixture(), cases());
    for case in &cases {
        let training = Training::new(&fixture, case, updates);
        let (whole, rates) = training.continued(training.start(), updates);
        // in the warm-up, and in the middle
        for stop in [5, updates / 2] {
            let (half, _) = training.continued(training.start(), stop);
            let tensors = state_tensors(training.model.network(), &half, &MetricsMark::default());
            let bytes = checkpoint_bytes(&tensors).unwrap();
            let SavedState { state, .. } = state_from_bytes(&bytes, training.model.network()).unwrap();
            let (end, rest) = training.continued(state, updates);
            assert_eq!(rest, rates[stop as usize..], "{}", case.name);
            assert_eq!(end.point, whole.point, "{}", case.name);
            assert_eq!(end.optimizer, whole.optimizer, "{}", case.name);
        }
    }
}
