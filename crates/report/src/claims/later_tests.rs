//! The claims of later results on records in which the truth is known.

use walk_record::rows::{
    ALL_PARAMETERS, Completeness, Connectivity, CriticalLr, CriticalLrOutcome, HessianOf, Kind, Line, Matrix,
    Spectrum, Train,
};
use walk_record::{BatchNorm, ConfigValue, Measured, Row, Run, measured};

use super::*;
use crate::comparison::Setting;
use crate::fixture;

/// The verdicts of a claim on three seeds, whose rows are made with a small number that differs between them.
fn verdict(name: ClaimName, rows: impl Fn(f64) -> Vec<Row>) -> Verdict {
    let mut runs: Vec<Run> = [0.0, 0.01, 0.02].map(|seed| run(10, seed, rows(seed))).into();
    if matches!(name, ClaimName::SharpnessAtThreshold | ClaimName::LossRisesAtTimes) {
        // full-batch training
        let method = ConfigValue { key: "optim.method".into(), value: "gd".into() };
        runs.iter_mut().for_each(|run| run.config.push(method.clone()));
    }
    let settings = vec![Setting::new("a", &runs)];
    let claims = claims(&[Exhibit { name: "x", claims: &[name], settings }]);
    assert_eq!(claims.len(), 1, "{claims:?}");
    claims[0].verdict
}

fn run(batch_size: i64, seed: f64, rows: Vec<Row>) -> Run {
    let value = |key: &str, value: i64| ConfigValue { key: key.into(), value: value.into() };
    let config = vec![value("optim.batch_size", batch_size), value("seed", (100.0 * seed).round() as i64)];
    let mut run = Run { config, ..fixture::run("run", rows) };
    run.info.data.train = 1000;
    run.info.network.classes = 3;
    run
}

/// Nine rows, made from their number from 0.
fn nine<K: Into<Kind>>(kind: impl Fn(u64) -> K) -> Vec<Row> {
    (0..9).map(|index| fixture::row(1, index + 1, kind(index))).collect()
}

fn spectrum(matrix: Matrix, largest: f64, share: f64) -> Spectrum {
    Spectrum {
        matrix,
        parameters: ALL_PARAMETERS.into(),
        values: measured(&[largest]),
        residuals: measured(&[0.0]),
        asked: 3,
        completeness: Completeness::Verified,
        smallest: 0.0.into(),
        smallest_residual: 0.0.into(),
        products: 9,
        grad_norm_sq: 1.0.into(),
        gradient_share: share.into(),
        gradient_noise: None,
        trace: Measured::MISSING,
        trace_error: Measured::MISSING,
        density: None,
        stability_threshold: 20.0.into(),
        small_batch_plateau: Measured::MISSING,
        samples: 10,
        train_samples: 10,
        subsets: None,
        batch_norm: BatchNorm::Batch,
    }
}

#[test]
fn sharpness_is_judged_where_it_has_settled_and_by_the_matrix_that_limits() {
    let at = ClaimName::SharpnessAtThreshold;
    let rising = |end: f64| move |index: u64| if index < 6 { 1.0 } else { end };
    let of = |end: f64| verdict(at, |seed| nine(|i| spectrum(Matrix::Hessian, rising(end)(i) + seed, 0.0)));
    assert_eq!((of(20.5), of(10.0), of(30.0)), (Verdict::Holds, Verdict::DoesNotHold, Verdict::DoesNotHold));
    // with both, the preconditioned Hessian counts
    let both = verdict(at, |seed| {
        let mut rows = nine(|_| spectrum(Matrix::Hessian, 1.0, 0.0));
        rows.extend(nine(|_| spectrum(Matrix::Preconditioned, 20.0 + seed, 0.0)));
        rows
    });
    assert_eq!(both, Verdict::Holds);
    let below = |largest: f64| {
        verdict(ClaimName::SharpnessBelowThreshold, |seed| {
            nine(|_| spectrum(Matrix::Hessian, largest + seed, 0.0))
        })
    };
    assert_eq!((below(12.0), below(21.0)), (Verdict::Holds, Verdict::DoesNotHold));
    let share = |share: f64| {
        verdict(ClaimName::GradientInTopSpace, |seed| nine(|_| spectrum(Matrix::Hessian, 1.0, share + seed)))
    };
    assert_eq!((share(0.8), share(0.2)), (Verdict::Holds, Verdict::DoesNotHold));
}

#[test]
fn sharpness_is_compared_by_batch_size() {
    let claim = |large: f64| {
        let runs = |batch: i64, largest: f64| -> Vec<Run> {
            let rows = |seed: f64| nine(|_| spectrum(Matrix::Hessian, largest + seed, 0.0));
            [0.0, 0.01, 0.03].map(|seed| run(batch, seed, rows(seed * batch as f64))).into()
        };
        let (small, large) = (runs(10, 5.0), runs(20, large));
        let settings = vec![Setting::new("large", &large), Setting::new("small", &small)];
        claims(&[Exhibit { name: "x", claims: &[ClaimName::FlatterAtSmallBatches], settings }]).remove(0)
    };
    assert_eq!(claim(9.0).verdict, Verdict::Holds);
    assert_eq!(claim(2.0).verdict, Verdict::DoesNotHold);
    assert!(
        claim(9.0).measured.contains("5.133 ± 0.088 (B = 10), 9.267 ± 0.176 (B = 20)"),
        "{:?}",
        claim(9.0)
    );
}

#[test]
fn a_loss_sometimes_rises_only_if_it_falls_in_the_long_run() {
    let of = |loss: fn(u64) -> f64| {
        verdict(ClaimName::LossRisesAtTimes, |seed| {
            nine(|i| Train { loss: (loss(i) + seed).into(), grad_norm: 1.0.into(), lr: 0.1 })
        })
    };
    assert_eq!(of(|i| [5.0, 7.0, 2.0][i as usize % 3] - i as f64), Verdict::Holds);
    // monotone, and rising in the long run
    assert_eq!(of(|i| -(i as f64)), Verdict::DoesNotHold);
    assert_eq!(of(|i| [1.0, 0.5, 2.0][i as usize % 3]), Verdict::DoesNotHold);
}

#[test]
fn batch_sharpness_is_that_of_the_batches_of_training() {
    let of = |own: f64| {
        verdict(ClaimName::BatchSharpnessAtThreshold, |seed| {
            let row = |batch_size: usize, ratio: f64| walk_record::rows::Alignment {
                hessian: HessianOf::Batch,
                ratio_of_means: ratio.into(),
                small_batch_plateau: 20.0.into(),
                ..fixture::alignment(batch_size, 0.0, Measured::MISSING)
            };
            let mut rows = nine(|_| row(10, own + seed));
            rows.extend(nine(|_| row(50, 99.0)));
            rows
        })
    };
    assert_eq!((of(19.0), of(10.0)), (Verdict::Holds, Verdict::DoesNotHold));
}

#[test]
fn the_critical_sharpness_follows_what_it_is_proportional_to() {
    let of = |critical: fn(f64) -> f64| {
        verdict(ClaimName::CriticalSharpnessFollows, |seed| {
            let largest = |i: u64| 1.0 + ((i * 5) % 9) as f64 + seed;
            let mut rows = nine(|i| spectrum(Matrix::Hessian, largest(i), 0.0));
            rows.extend(nine(|i| CriticalLr {
                outcome: CriticalLrOutcome::Crossing,
                critical_lr: 1.0.into(),
                bracket_width: 0.0.into(),
                critical_sharpness: critical(largest(i)).into(),
                lr: 0.1,
                largest_alpha: 1.0.into(),
                start_loss: 1.0.into(),
                evaluations: 9,
                samples: 10,
                train_samples: 10,
                batch_norm: BatchNorm::Batch,
                statistics_samples: None,
            }));
            rows
        })
    };
    assert_eq!(of(|largest| 0.7 * largest), Verdict::Holds);
    assert_eq!(of(|largest| 1.0 / largest), Verdict::DoesNotHold);
}

#[test]
fn a_logarithm_is_distinguished_from_a_root() {
    let of = |growth: fn(f64) -> f64| {
        verdict(ClaimName::LogarithmicGrowth, |seed| {
            let wobble = |i: u64| (1.0 + seed) * if i.is_multiple_of(2) { 0.01 } else { -0.01 };
            nine(|i| fixture::distance(growth((i + 1) as f64) + wobble(i)))
        })
    };
    assert_eq!((of(f64::ln), of(f64::sqrt)), (Verdict::Holds, Verdict::DoesNotHold));
}

#[test]
fn barriers_are_those_of_the_twins_that_part_first_and_last() {
    let of = |name: ClaimName, [first, last]: [f64; 2]| {
        verdict(name, |seed| {
            let row = |split_after: u64, barrier: f64| Connectivity {
                split_after,
                distance: 1.0.into(),
                cosine: 0.0.into(),
                alphas: vec![0.0, 1.0],
                losses: vec![],
                errors: vec![],
                loss_barrier: 0.0.into(),
                error_barrier: (barrier + 0.1 * seed).into(),
                samples: 10,
                batch_norm: BatchNorm::Batch,
                statistics_samples: None,
            };
            [row(0, first), row(50, 0.5), row(100, last)].map(|row| fixture::row(1, 200, row)).into()
        })
    };
    let falls = ClaimName::BarrierFallsWithLaterSplit;
    assert_eq!(of(falls, [0.3, 0.01]), Verdict::Holds);
    // a difference that is the same for all seeds has no error
    assert_eq!(of(falls, [0.0, 0.2]), Verdict::DoesNotHold);
    let connect = ClaimName::LateTwinsConnect;
    assert_eq!((of(connect, [0.3, 0.01]), of(connect, [0.3, 0.1])), (Verdict::Holds, Verdict::DoesNotHold));
}

#[test]
fn a_line_is_monotone_if_nothing_rises() {
    let of = |losses: [f64; 4]| {
        verdict(ClaimName::MonotoneLine, |seed| {
            let line = Line {
                from: "start".into(),
                length: 1.0.into(),
                alphas: vec![0.0, 0.3, 0.6, 1.0],
                losses: measured(&losses.map(|loss| loss * (1.0 + seed))),
                errors: vec![],
                loss_barrier: 0.0.into(),
                error_barrier: 0.0.into(),
                monotone: None,
                samples: 10,
                batch_norm: BatchNorm::Batch,
                statistics_samples: None,
            };
            vec![fixture::row(1, 1, line)]
        })
    };
    assert_eq!((of([4.0, 3.0, 2.0, 1.0]), of([4.0, 5.0, 2.0, 1.0])), (Verdict::Holds, Verdict::DoesNotHold));
    assert_eq!(of([1.0, 2.0, 3.0, 4.0]), Verdict::DoesNotHold);
}

#[test]
fn the_height_above_the_floor_is_a_share_of_the_fall_in_the_decay() {
    let of = |end: f64| {
        verdict(ClaimName::DecayFallsToFloor, |seed| {
            let lr = |i: u64| if i < 6 { 0.1 } else { 0.05 };
            let mut rows = nine(|i| Train { loss: 1.0.into(), grad_norm: 1.0.into(), lr: lr(i) });
            // 2 before the decay, with a floor of 1.5
            rows.extend(nine(|i| {
                let mut segment = fixture::segment(false, 0.0);
                segment.losses = measured(&[2.0 + seed, 1.5, if i < 8 { 2.0 } else { end }]);
                segment
            }));
            rows
        })
    };
    assert_eq!((of(1.4), of(0.2)), (Verdict::Holds, Verdict::DoesNotHold));
    let constant = |seed: f64| nine(|_| Train { loss: seed.into(), grad_norm: 1.0.into(), lr: 0.1 });
    assert_eq!(verdict(ClaimName::DecayFallsToFloor, constant), Verdict::NotMeasured);
}

#[test]
fn a_noise_scale_rises_from_the_first_to_the_last_third() {
    let of = |rise: f64| {
        verdict(ClaimName::NoiseScaleRises, |seed| {
            nine(|i| walk_record::rows::Covariance {
                trace: (1.0 + rise * i as f64 / 9.0 + seed).into(),
                trace_error: Measured::MISSING,
                full_grad_norm_sq: 1.0.into(),
                samples: 10,
                train_samples: 10,
                unit: walk_record::rows::GradientUnit::Sample,
                unit_size: 1,
                count: 10,
                batch_norm: BatchNorm::Batch,
                checks: vec![],
            })
        })
    };
    assert_eq!((of(5.0), of(-0.9)), (Verdict::Holds, Verdict::DoesNotHold));
}
