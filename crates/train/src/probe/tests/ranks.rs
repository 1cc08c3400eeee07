//! Any number of processes measures the same bits.

use super::*;

#[test]
fn any_number_of_ranks_gives_the_same_bits() {
    let when = serde_json::json!({ "at_end_of_epochs": true });
    let config = probes(serde_json::json!({
        "interpolation": { "chunk": 20 },
        "noise": { "when": when, "evaluations": 2, "reference_samples": 20 },
        "alignment": { "when": when, "batch_sizes": [20, 100], "batches": 3, "chunk": 10 },
        "covariance": { "when": when, "batch_sizes": [50], "batches": 2, "chunk": 7 },
        "spectrum": { "when": when, "values": 2, "steps": 6, "random_vectors": 1, "density_steps": 3, "chunk": 9 },
        "critical_lr": { "when": when },
        "line": { "when": when, "points": 3 },
        "plane": { "when": when, "points": 3 },
    }));
    let run = |ranks| Quadratic::new().run_on(ranks, (Method::Sgd, 0.05, 2), &config);
    let (rows, point) = run(Arc::new(Solo));
    assert_eq!(rows.len(), 8 + 8 + 2 * (1 + 1 + 2 + 1 + 1 + 1 + 1 + 1));
    for size in [2, 3, 20] {
        for (rank, (found, end)) in crate::ranks::threads::on(size, run).into_iter().enumerate() {
            assert!(found == rows && end == point, "rank {rank} of {size} differs");
        }
    }
}
