//! What probes remember between updates.

use walk_record::Values;

use super::*;
use crate::Span;

#[test]
fn the_size_of_what_probes_remember_is_foreseen() {
    let quadratic = Quadratic::new();
    let at_end = serde_json::json!({ "at_end_of_epochs": true });
    let config = probes(serde_json::json!({
        "interpolation": {}, "noise": { "when": at_end }, "cosine": {}, "distance": {},
        "spectrum": { "when": at_end, "values": 2, "steps": 6, "parameters": ["*", "1.weight"] },
        "plane": { "when": at_end, "points": 3, "trajectory": { "every": 3 } },
        "connectivity": { "when": at_end, "points": 3, "split_after": [1, 5] },
    }));
    let optim = OptimConfig { batch_size: 50, momentum: 0.9, ..crate::optim::tests::config() };
    let run = TrainConfig { epochs: 2, seed: Seed(3), optim, record_order: false };
    let ranks: Arc<dyn Ranks> = Arc::new(Solo);
    let (model, part) = (&quadratic.model, &quadratic.split.train);
    let context = ProbeContext { model, train: part, optim: &run.optim, seed: Seed(3), ranks: &ranks };
    let mut active = config.probes(context).unwrap();
    let start = TrainState::new(model.initial(Seed(3)));
    train(model, &quadratic.split, &run, start, &mut active, &mut Rows::default(), &ranks).unwrap();
    let span = Span { epochs: 2, updates: 4 };
    let n_params = model.network().n_params();
    for probe in active {
        let vectors = |values: &Values| match values {
            Values::F32(list) => list.len(),
            _ => 0,
        };
        let numbers: usize = probe.memory().0.values().map(vectors).sum();
        assert_eq!(numbers.div_ceil(n_params), probe.remembered(span), "{}", probe.name);
    }
}
