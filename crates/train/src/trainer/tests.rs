use std::rc::Rc;

use walk_arch::{Activation, Net, Problem, batch_norm, flatten, linear};
use walk_core::{Fused, Loss, Point, Samples, Stream};
use walk_data::{Augment, DataConfig, DataSet, Images, Part, SplitConfig};
use walk_record::rows::{Interpolation, Mode};
use walk_record::{BatchNorm, EvaluationData, Measured, rows_of};

use super::*;
use crate::probe::{
    ChunkSize, Fraction, InterpolationSection, NotNegative, ProbeConfig, ProbeContext, SampleCount, Share,
    Within,
};
use crate::samples::Redrawn;
use crate::test_support::Rows;
use crate::{Accumulate, Conditions, Method, Ranks, Schedule, Solo};

fn split() -> Split {
    let (train, valid) = (Some(Part::Count(300)), Some(Part::Count(100)));
    DataConfig { train, valid, ..DataConfig::new(DataSet::Digits) }.load().unwrap()
}

fn model(norm: bool) -> Model {
    let problem = Problem { input: vec![1, 8, 8], classes: 10 };
    let net = Net::new();
    let mut layers = net.sequential("");
    layers.push(flatten()).push(linear(20));
    if norm {
        layers.push(batch_norm());
    }
    layers.push(Activation::Relu).push(linear(10));
    let network = net.finish(layers.output()).check(&problem).unwrap();
    Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy)
}

/// Segments of five points.
fn five_points(when: Schedule, evaluation: EvaluationData) -> ProbeConfig {
    let section = InterpolationSection {
        when,
        points: Within::new(5),
        chunk: ChunkSize::new(100),
        batch_norm: BatchNorm::Batch,
        statistics_samples: SampleCount::new(2000),
        evaluation,
        mode: Mode::Exact,
        error_rate: Fraction::new(1e-3),
        guard: NotNegative::new(1.5),
        audit: Share::new(1e-2),
    };
    ProbeConfig { interpolation: Some(section), ..ProbeConfig::default() }
}

fn config(method: Method, batch_size: usize, epochs: u32) -> TrainConfig {
    let optim =
        OptimConfig { method, lr: 0.1, batch_size, weight_decay: 0.0, ..crate::optim::tests::config() };
    TrainConfig { epochs, seed: Seed(4), optim, record_order: false }
}

fn run(model: &Model, config: &TrainConfig, probes: &ProbeConfig) -> (Vec<Row>, Result<Point, TrainError>) {
    run_on(split(), model, config, probes)
}

fn run_on(
    split: Split,
    model: &Model,
    config: &TrainConfig,
    probes: &ProbeConfig,
) -> (Vec<Row>, Result<Point, TrainError>) {
    let mut rows = Rows::default();
    let ranks: Arc<dyn Ranks> = Arc::new(Solo);
    let (optim, seed) = (&config.optim, config.seed);
    let context = ProbeContext { model, train: &split.train, optim, seed, ranks: &ranks };
    let mut probes = probes.probes(context).unwrap();
    let start = TrainState::new(model.initial(config.seed));
    let outcome = train(model, &split, config, start, &mut probes, &mut rows, &ranks);
    (rows.0, outcome.map(|state| state.point))
}

#[test]
fn learns_the_digits_and_counts_its_updates() {
    let (rows, _) = run(&model(true), &config(Method::Sgd, 70, 20), &ProbeConfig::default());
    let epochs: Vec<_> = rows_of::<Epoch>(&rows).collect();
    assert_eq!((epochs.len(), epochs[19].at.iteration, epochs[19].at.step), (20, 5, 100)); // 4 x 70 + 20
    assert!(epochs[19].train_loss.or_nan() < 0.5 * epochs[0].train_loss.or_nan());
    assert!(epochs[19].train_accuracy.or_nan() > epochs[0].train_accuracy.or_nan());
    assert!(epochs[19].valid_accuracy.or_nan() > 0.8, "{}", epochs[19].valid_accuracy);
}

#[test]
fn a_short_last_batch_counts_by_its_samples() {
    let (rows, _) = run(&model(true), &config(Method::Sgd, 70, 1), &ProbeConfig::default());
    let losses: Vec<f64> = rows_of::<Train>(&rows).map(|row| row.loss.or_nan()).collect();
    let sum: f64 = losses.iter().zip([70.0, 70.0, 70.0, 70.0, 20.0]).map(|(loss, n)| loss * n).sum();
    let found = rows_of::<Epoch>(&rows).next().unwrap().train_loss.or_nan();
    assert!((found - sum / 300.0).abs() < 1e-12, "{found}");
}

#[test]
fn a_parameter_that_overflows_ends_the_run_at_its_update() {
    let mut config = config(Method::Sgd, 300, 1);
    config.optim.lr = 1e38;
    config.optim.weight_decay = 1e3;
    let (rows, outcome) = run(&model(false), &config, &ProbeConfig::default());
    let message = outcome.unwrap_err().to_string();
    assert!(
        message.starts_with("a parameter after the update is ") && message.contains("step 1"),
        "{message}"
    );
    // earlier measurements are kept
    assert_eq!(rows_of::<Train>(&rows).count(), 1);
    assert_eq!(
        [not_finite(&[0.0, -f32::MAX]), not_finite(&[0.0, f32::INFINITY])],
        [None, Some(f32::INFINITY)]
    );
    assert!(not_finite(&[f32::NAN, 1.0]).is_some());
}

/// The digits' images sorted by class, as Tiny ImageNet is stored.
fn class_by_class() -> Split {
    let images = DataConfig::new(DataSet::Digits).read().unwrap();
    let mut order: Vec<usize> = (0..1000).collect();
    order.sort_by_key(|&index| images.labels[index]);
    let pixels = order.iter().flat_map(|&index| images.pixels[64 * index..64 * (index + 1)].to_vec());
    let labels = order.iter().map(|&index| images.labels[index]).collect();
    let sorted = Images { pixels: pixels.collect(), labels, ..images };
    let valid = Some(Part::Range([900, 1000]));
    Split::new(sorted, None, &SplitConfig { valid, ..SplitConfig::default() }).unwrap()
}

#[test]
fn chunks_of_sorted_data_have_the_loss_of_random_batches() {
    let (model, split) = (model(true), class_by_class());
    let point = model.initial(Seed(3));
    let mut evaluate = {
        let (mut evaluator, point) = (model.evaluator(), &point);
        move |samples: &dyn Samples| {
            evaluator.evaluate(point, samples, 100, BatchNormMode::Batch).unwrap().mean_loss()
        }
    };
    // what random batches give, 20 passes over the set
    let drawn: Vec<f64> = (0..20)
        .map(|draw| {
            let order = Seed(1).rng(Stream::EvaluationOrder, [draw]);
            evaluate(&Redrawn::new(&split.train, order, |sample| Seed(1).rng(Stream::Augment, [sample])))
        })
        .collect();
    let mean = drawn.iter().sum::<f64>() / 20.0;
    let sd = (drawn.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / 19.0).sqrt();
    let fixed = evaluate(&Fixed(&split.train));
    assert!((fixed - mean).abs() < 4.0 * sd, "{fixed}, {mean} +- {sd}");
    // the parts of gradient descent are the chunks of the fixed evaluation
    let config = TrainConfig { epochs: 1, ..config(Method::Gd, 100, 1) };
    let (mut rows, ranks): (_, Arc<dyn Ranks>) = (Rows::default(), Arc::new(Solo));
    train(&model, &split, &config, TrainState::new(point.clone()), &mut [], &mut rows, &ranks).unwrap();
    let descended = rows_of::<Train>(&rows.0).next().unwrap().loss.or_nan();
    assert!((descended - fixed).abs() < 1e-6, "{descended}, {fixed}");
}

#[test]
fn gd_in_chunks_equals_gd_in_one_piece_without_batch_norm() {
    let train = |size, accumulate| {
        let mut config = config(Method::Gd, size, 3);
        config.optim.accumulate = accumulate;
        run(&model(false), &config, &ProbeConfig::default()).1.unwrap().params
    };
    let (whole, chunks) = (train(300, Accumulate::Mean), train(70, Accumulate::Mean));
    let error: f32 = whole.iter().zip(&chunks).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error < 1e-6, "{error}"); // a different order of the same f32 sums
    // three equal chunks: their sum is three times their mean
    let mut tripled = config(Method::Gd, 100, 3);
    tripled.optim.lr *= 3.0;
    let tripled = run(&model(false), &tripled, &ProbeConfig::default()).1.unwrap().params;
    let sum = train(100, Accumulate::Sum);
    assert!(tripled.iter().zip(&sum).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn a_probe_sees_its_updates_and_changes_nothing() {
    let when = Conditions { epochs: Some(vec![2]), iterations: Some([2, 3]), ..Conditions::default() }.into();
    let probes = five_points(when, EvaluationData::Fixed);
    let config = config(Method::Sgd, 100, 2);
    let (with, _) = run(&model(true), &config, &probes);
    let (without, _) = run(&model(true), &config, &ProbeConfig::default());
    let segments: Vec<_> = rows_of::<Interpolation>(&with).collect();
    let places = segments.iter().map(|s| (s.at.epoch, s.at.iteration, s.at.step));
    assert_eq!(places.collect::<Vec<_>>(), [(2, 2, 5), (2, 3, 6)]);
    assert_eq!(segments[0].losses[4], segments[1].losses[0]);
    assert_eq!((segments[0].samples, segments[0].alphas.len()), (300, 5));
    let rest: Vec<&Row> = with.iter().filter(|row| !row.kind.is_of_probe()).collect();
    assert_eq!(rest, without.iter().collect::<Vec<_>>());
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_says_where() {
    let mut config = config(Method::Sgd, 100, 50);
    config.optim.lr = 1e30;
    let (rows, outcome) = run(&model(false), &config, &ProbeConfig::default());
    let TrainError::NotFinite { at, .. } = outcome.unwrap_err() else { panic!("another error") };
    assert_eq!(rows.len() as u64, at.step.0 - 1);
    assert!(at.step.0 >= 2 && at.epoch == 1);
}

#[test]
fn the_order_of_the_samples_is_recorded_on_request_and_drop_last_leaves_the_rest_out() {
    let mut config = config(Method::Sgd, 70, 2);
    config.record_order = true;
    config.optim.drop_last = true;
    let (rows, outcome) = run(&model(true), &config, &ProbeConfig::default());
    outcome.unwrap();
    let orders: Vec<_> = rows_of::<Order>(&rows).map(|row| row.samples.clone()).collect();
    assert_eq!((orders.len(), orders[0].len()), (2, 300));
    assert_ne!(orders[0], orders[1]);
    assert_eq!(rows_of::<Train>(&rows).count(), 2 * (300 / 70));
}

#[test]
fn an_augmented_evaluation_is_drawn_once_an_epoch_in_both_modes() {
    let augment = Augment { crop_padding: 2, flip: true };
    let (train, valid) = (Some(Part::Count(300)), Some(Part::Count(100)));
    let data = DataConfig { train, valid, augment, ..DataConfig::new(DataSet::Digits) };
    let config = config(Method::Sgd, 100, 2);
    let curves = |evaluation, mode| {
        let mut probes = five_points(Schedule::default(), evaluation);
        probes.interpolation.as_mut().unwrap().mode = mode;
        let (rows, outcome) = run_on(data.load().unwrap(), &model(true), &config, &probes);
        outcome.unwrap();
        let curves = rows_of::<Interpolation>(&rows).map(|row| row.losses.clone());
        curves.map(|losses| losses.into_iter().map(Measured::or_nan).collect()).collect::<Vec<Vec<f64>>>()
    };
    let augmented = curves(EvaluationData::Augmented, Mode::Exact);
    let shares_end = |index: usize| augmented[index][4].to_bits() == augmented[index + 1][0].to_bits();
    assert_eq!([0, 1, 2, 3, 4].map(shares_end), [true, true, false, true, true]);
    // with so few chunks, all are seen
    assert_eq!(curves(EvaluationData::Augmented, Mode::Adaptive), augmented);
    let fixed = curves(EvaluationData::Fixed, Mode::Exact);
    assert!(fixed.iter().zip(&augmented).all(|(fixed, augmented)| fixed[2] != augmented[2]));
}

#[test]
fn a_paper_evaluation_is_drawn_anew_for_every_alpha_and_repeats_with_the_seed() {
    let config = config(Method::Sgd, 100, 1);
    let losses = |evaluation| {
        let probes = five_points(Schedule::default(), evaluation);
        let (rows, outcome) = run(&model(true), &config, &probes);
        outcome.unwrap();
        let losses = rows_of::<Interpolation>(&rows).flat_map(|row| row.losses.clone());
        losses.map(Measured::or_nan).collect::<Vec<f64>>()
    };
    let (fixed, paper) = (losses(EvaluationData::Fixed), losses(EvaluationData::Paper));
    assert_eq!(paper, losses(EvaluationData::Paper));
    // different chunks give batch norm different statistics: close, but not equal
    for (fixed, paper) in fixed.iter().zip(&paper) {
        assert!(fixed != paper && (fixed / paper - 1.0).abs() < 0.1, "{fixed} {paper}");
    }
}
