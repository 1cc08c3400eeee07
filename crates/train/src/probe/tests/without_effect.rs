//! Remarks on values that have no effect.

use serde_json::json;

use super::*;

#[test]
fn values_without_effect_are_remarked_on() {
    let when = json!({ "at_end_of_epochs": true });
    for (probe, idle, reason, needed) in [
        ("interpolation", json!({ "guard": 0.0 }), "`mode` = \"exact\"", json!({ "mode": "adaptive" })),
        ("interpolation", json!({ "audit": 0.5 }), "`mode` = \"exact\"", json!({ "mode": "adaptive" })),
        ("interpolation", json!({ "error_rate": 0.5 }), "`mode` = \"exact\"", json!({ "mode": "adaptive" })),
        ("line", json!({ "statistics_samples": 9 }), "`batch_norm`", json!({ "batch_norm": "running" })),
        (
            "plane",
            json!({ "radius": 0.5, "directions": "principal" }),
            "`directions`",
            json!({ "directions": "random" }),
        ),
        (
            "noise",
            json!({ "reference_samples": 9, "evaluation": "paper" }),
            "\"fixed\"",
            json!({ "evaluation": "fixed" }),
        ),
        ("spectrum", json!({ "density_steps": 9 }), "`random_vectors` is 0", json!({ "random_vectors": 1 })),
        (
            "alignment",
            json!({ "hessian_samples": 9, "hessian": "batch" }),
            "own Hessian",
            json!({ "hessian": "full" }),
        ),
        ("covariance", json!({ "batches": 9 }), "`batch_sizes` is empty", json!({ "batch_sizes": [10] })),
    ] {
        let remarks = |parts: &[&serde_json::Value]| {
            let parts = parts.iter().flat_map(|part| part.as_object().unwrap().clone());
            let mut section: serde_json::Map<_, _> = parts.collect();
            section.insert("when".into(), when.clone());
            serde_json::from_value::<ProbeConfig>(json!({ probe: section })).unwrap().remarks()
        };
        // the defaults are never remarked on
        assert_eq!(remarks(&[]), [""; 0]);
        let found = remarks(&[&idle]);
        let key = idle.as_object().unwrap().keys().find(|key| found[0].contains(*key));
        assert!(found.len() == 1 && key.is_some() && found[0].contains(reason), "{probe} {idle}: {found:?}");
        assert!(found[0].starts_with(&format!("`probe.{probe}.")), "{found:?}");
        assert_eq!(remarks(&[&idle, &needed]), [""; 0]);
    }
}
