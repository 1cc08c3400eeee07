use std::rc::Rc;

use walk_arch::{Activation, Net, Problem, batch_norm, linear};

use super::*;
use crate::test_support::{
    BatchSamples, image_network, norm_error, pooled_network, preactivation_network, residual_network,
    tensor_network,
};
use crate::{BatchGradient, Composite, Cpu, DropoutDraw, Fused};

const MODES: [BatchNormMode; 2] = [BatchNormMode::Batch, BatchNormMode::Running];
const NETWORKS: [fn(Activation) -> Network; 4] =
    [residual_network, image_network, preactivation_network, tensor_network];
const LOSSES: [Loss; 2] = [Loss::CrossEntropy, Loss::SquaredError];

fn point(model: &Model) -> Point {
    let mut point = model.initial(Seed(3));
    // parameters and statistics that are not all 0 and 1
    let nudge =
        |values: &mut [f32]| values.iter_mut().enumerate().for_each(|(i, x)| *x += 0.02 * (i % 7) as f32);
    nudge(&mut point.params);
    nudge(&mut point.buffers);
    point
}

#[test]
fn fused_and_composite_agree_on_loss_gradient_statistics_and_evaluation() {
    let networks = NETWORKS.into_iter().flat_map(|network| Activation::ALL.map(|a| (network(a), a)));
    for (network, activation) in networks.chain([(pooled_network(), Activation::Relu)]) {
        let samples = BatchSamples::random(&network, 23);
        for (mode, loss) in MODES.into_iter().flat_map(|mode| LOSSES.map(|loss| (mode, loss))) {
            let fused = Model::new(Rc::new(Fused::default()), network.clone(), loss);
            let composite = Model::new(Rc::new(Composite::<Cpu>::default()), network.clone(), loss);
            let point = point(&fused);
            let a = fused.at(&point).unwrap().gradient(&samples.0, mode).unwrap();
            let b = composite.at(&point).unwrap().gradient(&samples.0, mode).unwrap();
            // both round every layer in f32; about 10 roundings of 6e-8 meet in each number
            assert!(norm_error(&a.losses, &b.losses) < 1e-6, "{activation:?} {mode:?} {loss:?}");
            assert!(norm_error(&a.grad, &b.grad) < 3e-6, "{activation:?} {mode:?} {loss:?}");
            let (mut from_a, mut from_b) = (point.buffers.clone(), point.buffers.clone());
            fused.update_buffers(&mut from_a, &a);
            composite.update_buffers(&mut from_b, &b);
            assert!(from_a.is_empty() || norm_error(&from_a, &from_b) < 1e-6);
            let moves = mode == BatchNormMode::Batch && !point.buffers.is_empty();
            assert_eq!(moves, from_a != point.buffers);
            let a = fused.evaluator().evaluate(&point, &samples, 10, mode).unwrap();
            let b = composite.evaluator().evaluate(&point, &samples, 10, mode).unwrap();
            assert_eq!((a.chunks.len(), a.samples), (3, 23));
            for (a, b) in a.chunks.iter().zip(&b.chunks) {
                assert!((a.loss_sum() - b.loss_sum()).abs() < 3e-6 * b.loss_sum());
                assert_eq!(a.correct, b.correct);
            }
        }
    }
}

#[test]
fn values_that_are_computed_again_change_no_bit() {
    for (network, mode) in NETWORKS.into_iter().flat_map(|network| MODES.map(|mode| (network, mode))) {
        let network = network(Activation::Relu);
        let mut batch = BatchSamples::random(&network, 7).0;
        batch.dropout = Some(DropoutDraw { seed: Seed(3), step: 5, part: 0 });
        let results = [usize::MAX, 0].map(|budget| {
            let model = Model::new(Rc::new(Fused::within(budget)), network.clone(), Loss::CrossEntropy);
            let point = point(&model);
            let direction: Vec<f32> = (0..point.params.len()).map(|i| (i % 5) as f32 - 2.0).collect();
            let at = model.at(&point).unwrap();
            let BatchGradient { losses, correct, grad, statistics } = at.gradient(&batch, mode).unwrap();
            let product = at.hessian_vector(&batch, &direction, mode).unwrap();
            let norms = at.sample_norms_sq(&batch, mode).ok();
            (losses, correct, grad, statistics, product, norms)
        });
        assert_eq!(results[0], results[1], "{mode:?}");
    }
}

#[test]
fn gradient_agrees_with_central_differences_of_the_evaluated_loss() {
    for (network, mode) in NETWORKS.into_iter().flat_map(|network| MODES.map(|mode| (network, mode))) {
        let network = network(Activation::Tanh);
        let samples = BatchSamples::random(&network, 12);
        let model = Model::new(Rc::new(Fused::default()), network.clone(), Loss::CrossEntropy);
        let at = point(&model);
        let BatchGradient { correct, grad, .. } = model.at(&at).unwrap().gradient(&samples.0, mode).unwrap();
        let mut evaluator = model.evaluator();
        let evaluated = evaluator.evaluate(&at, &samples, 12, mode).unwrap();
        assert_eq!(correct, evaluated.chunks[0].correct, "{mode:?}");
        let mut loss = |params: Vec<f32>| {
            let point = Point { params, buffers: at.buffers.clone() };
            evaluator.evaluate(&point, &samples, 12, mode).unwrap().mean_loss()
        };
        // along the gradient itself: dL/ds = ‖g‖
        let norm = grad.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let h = 1e-2 / norm;
        let shifted = |h: f64| {
            at.params.iter().zip(&grad).map(|(p, g)| (f64::from(*p) + h * f64::from(*g)) as f32).collect()
        };
        let slope = (loss(shifted(h)) - loss(shifted(-h))) / (2.0 * h);
        // third derivative times h²/6 dominates; f32 rounding of the loss adds about 1e-7/1e-2
        assert!((slope / (norm * norm) - 1.0).abs() < 1e-3, "{mode:?}: {slope} {}", norm * norm);
    }
}

#[test]
fn evaluation_gives_the_same_bits_for_any_number_of_threads_and_any_neighbors() {
    for network in NETWORKS.map(|network| network(Activation::Relu)) {
        let samples = BatchSamples::random(&network, 95);
        let model = || Model::new(Rc::new(Fused::default()), network.clone(), Loss::CrossEntropy);
        let point = point(&model());
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let model = model();
                let mode = BatchNormMode::Batch;
                let evaluation = model.evaluator().evaluate(&point, &samples, 10, mode).unwrap();
                let gradient = model.at(&point).unwrap().gradient(&samples.0, mode).unwrap();
                (evaluation, gradient.losses, gradient.grad)
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
        let features = samples.0.inputs.len() / 95;
        let inputs = samples.0.inputs[..20 * features].to_vec();
        let few = BatchSamples(Batch { inputs, labels: samples.0.labels[..20].to_vec(), dropout: None });
        let few = model().evaluator().evaluate(&point, &few, 10, BatchNormMode::Batch).unwrap();
        assert_eq!(few.chunks, one.0.chunks[..2]);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let network = residual_network(Activation::Relu);
    let samples = BatchSamples::random(&network, 4);
    let model = Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy);
    let point = model.initial(Seed(1));
    let short = Point { params: vec![0.0; 3], ..point.clone() };
    let mode = BatchNormMode::Batch;
    assert!(matches!(model.at(&short), Err(CoreError::Length { found: 3, .. })));
    assert!(matches!(
        model.at(&point).unwrap().gradient(&Batch::default(), mode),
        Err(CoreError::EmptyBatch)
    ));
    let mut wrong = samples.0.clone();
    wrong.labels[2] = 3;
    assert!(matches!(
        model.at(&point).unwrap().gradient(&wrong, mode),
        Err(CoreError::Label { sample: 2, label: 3, classes: 3 })
    ));
    let wrong = model.evaluator().evaluate(&point, &BatchSamples(wrong), 3, mode);
    assert!(matches!(wrong, Err(CoreError::Label { sample: 2, .. })));
}

#[test]
fn hessian_products_are_symmetric_and_agree_with_differences_of_gradients() {
    // smooth activations: where a ReLU has its kink, differences of gradients see it and Hv does not. A max pooling has
    // kinks too, so images take a step too short to reach one, at the price of f32's rounding over it
    let networks = [
        (residual_network as fn(Activation) -> _, 1e-3, 1e-3),
        (image_network, 5e-5, 5e-3),
        (preactivation_network, 1e-3, 1e-3),
        (tensor_network, 1e-3, 1e-3),
    ]
    .into_iter();
    for (network, h, allowed) in networks.flat_map(|(network, h, allowed)| {
        [Activation::Gelu, Activation::Silu, Activation::Tanh, Activation::Sigmoid]
            .map(|a| (network(a), h, allowed))
    }) {
        let samples = BatchSamples::random(&network, 9);
        for (mode, loss) in MODES.into_iter().flat_map(|mode| LOSSES.map(|loss| (mode, loss))) {
            let model = Model::new(Rc::new(Fused::default()), network.clone(), loss);
            let at = point(&model);
            let n = at.params.len();
            let direction =
                |k: usize| -> Vec<f32> { (0..n).map(|i| ((i * k) % 17) as f32 / 17.0 - 0.47).collect() };
            let (u, v) = (direction(5), direction(7));
            let hv = model.at(&at).unwrap().hessian_vector(&samples.0, &v, mode).unwrap();
            let hu = model.at(&at).unwrap().hessian_vector(&samples.0, &u, mode).unwrap();
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let size = dot(&hv, &hv).sqrt() * dot(&u, &u).sqrt();
            // f32 rounding of sums over all parameters
            assert!((dot(&u, &hv) - dot(&v, &hu)).abs() < 2e-6 * size, "{mode:?} {loss:?}");
            let grad = |h: f32| {
                let params = at.params.iter().zip(&v).map(|(p, v)| p + h * v).collect();
                let point = Point { params, ..at.clone() };
                model.at(&point).unwrap().gradient(&samples.0, mode).unwrap().grad
            };
            let difference: Vec<f32> =
                grad(h).iter().zip(grad(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect();
            let error = norm_error(&hv, &difference);
            assert!(error < allowed, "{mode:?} {loss:?}: {error:e}");
        }
    }
}

#[test]
fn fused_and_composite_agree_on_hessian_products() {
    for (network, activation) in
        NETWORKS.into_iter().flat_map(|network| Activation::ALL.map(|a| (network(a), a)))
    {
        let mut batch = BatchSamples::random(&network, 9).0;
        batch.dropout = Some(DropoutDraw { seed: Seed(2), step: 1, part: 0 });
        for (mode, loss) in MODES.into_iter().flat_map(|mode| LOSSES.map(|loss| (mode, loss))) {
            let fused = Model::new(Rc::new(Fused::default()), network.clone(), loss);
            let composite = Model::new(Rc::new(Composite::<Cpu>::default()), network.clone(), loss);
            let at = point(&fused);
            let v: Vec<f32> = (0..at.params.len()).map(|i| ((i * 7) % 17) as f32 / 17.0 - 0.47).collect();
            let a = fused.at(&at).unwrap().hessian_vector(&batch, &v, mode).unwrap();
            let b = composite.at(&at).unwrap().hessian_vector(&batch, &v, mode).unwrap();
            let error = norm_error(&a, &b);
            assert!(error < 1e-5, "{activation:?} {mode:?} {loss:?}: {error:e}");
        }
    }
}

#[test]
fn dropout_leaves_out_the_stated_share_in_training_only() {
    let network = tensor_network(Activation::Gelu);
    let mut batch = BatchSamples::random(&network, 7).0;
    let fused = Model::new(Rc::new(Fused::default()), network.clone(), Loss::CrossEntropy);
    let composite = Model::new(Rc::new(Composite::<Cpu>::default()), network, Loss::CrossEntropy);
    let at = point(&fused);
    let losses = |batch: &Batch| fused.at(&at).unwrap().gradient(batch, BatchNormMode::Batch).unwrap().losses;
    let without = losses(&batch);
    let draw = DropoutDraw { seed: Seed(5), step: 3, part: 0 };
    batch.dropout = Some(draw);
    let with = losses(&batch);
    assert_ne!(with, without);
    assert_eq!(with, losses(&batch));
    let a = fused.at(&at).unwrap().gradient(&batch, BatchNormMode::Batch).unwrap();
    let b = composite.at(&at).unwrap().gradient(&batch, BatchNormMode::Batch).unwrap();
    assert!(norm_error(&a.losses, &b.losses) < 1e-6 && norm_error(&a.grad, &b.grad) < 3e-6);
    for other in [DropoutDraw { step: 4, ..draw }, DropoutDraw { part: 1, ..draw }] {
        batch.dropout = Some(other);
        assert_ne!(with, losses(&batch));
    }
    let mask = draw.mask(0.25, 9, 100_000);
    let zeros = mask.iter().filter(|&&x| x == 0.0).count();
    // 25,000 +- 137
    assert!(zeros.abs_diff(25_000) < 700 && mask.iter().all(|&x| x == 0.0 || x == 1.0 / 0.75));
}

#[test]
fn norms_of_the_samples_gradients_are_those_of_one_sample_batches() {
    for (network, activation) in
        NETWORKS.into_iter().flat_map(|network| [Activation::Relu, Activation::Gelu].map(|a| (network(a), a)))
    {
        let batch = BatchSamples::random(&network, 7).0;
        let fused = Model::new(Rc::new(Fused::default()), network.clone(), Loss::CrossEntropy);
        let composite = Model::new(Rc::new(Composite::<Cpu>::default()), network.clone(), Loss::CrossEntropy);
        let (at, mode) = (point(&fused), BatchNormMode::Running);
        let found = fused.at(&at).unwrap().sample_norms_sq(&batch, mode).unwrap();
        let other = composite.at(&at).unwrap().sample_norms_sq(&batch, mode).unwrap();
        let features = batch.inputs.len() / 7;
        for (row, (found, other)) in found.iter().zip(&other).enumerate() {
            let inputs = batch.inputs[row * features..(row + 1) * features].to_vec();
            let one = Batch { inputs, labels: vec![batch.labels[row]], dropout: None };
            let grad = fused.at(&at).unwrap().gradient(&one, mode).unwrap().grad;
            let expected: f64 = grad.iter().map(|g| f64::from(*g).powi(2)).sum();
            // squares double the gradient's own error
            assert!((found / expected - 1.0).abs() < 6e-6, "{activation:?} {row}: {found} {expected}");
            assert!((other / expected - 1.0).abs() < 6e-6, "{activation:?} {row}: {other} {expected}");
        }
        let refused = fused.at(&at).unwrap().sample_norms_sq(&batch, BatchNormMode::Batch);
        assert_eq!(matches!(refused, Err(CoreError::BatchStatistics)), !at.buffers.is_empty());
    }
}

#[test]
fn the_reference_in_f64_differs_by_rounding_alone() {
    for network in NETWORKS.map(|network| network(Activation::Silu)) {
        let samples = BatchSamples::random(&network, 20);
        for (mode, loss) in MODES.into_iter().flat_map(|mode| LOSSES.map(|loss| (mode, loss))) {
            let model = Model::new(Rc::new(Fused::default()), network.clone(), loss);
            let at = point(&model);
            let evaluate = |mut evaluator: Box<dyn crate::Evaluator>| {
                evaluator.evaluate(&at, &samples, 10, mode).unwrap()
            };
            let (ours, reference) = (evaluate(model.evaluator()), evaluate(model.reference()));
            let error = ours.mean_loss() / reference.mean_loss() - 1.0;
            assert!(error.abs() < 1e-6 && error != 0.0, "{mode:?} {loss:?}: {error:e}");
            assert_eq!(ours.accuracy(), reference.accuracy());
        }
    }
}

/// The first norm's input is a linear function of the samples, which f64 repeats.
#[test]
fn restated_statistics_are_the_mean_over_chunks_of_means_and_unbiased_variances() {
    let problem = Problem { input: vec![6], classes: 3 };
    let net = Net::new();
    let norm = net.input().then("fc", linear(3)).then("bn", batch_norm());
    let network = net.finish(norm).check(&problem).unwrap();
    let samples = BatchSamples::random(&network, 25);
    let model = Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy);
    let mut point = model.initial(Seed(4));
    model.restate(&mut point, &samples, 10).unwrap();
    let (weight, bias) = (&point.params[..18], &point.params[18..21]);
    for unit in 0..3 {
        let value = |row: &[f32]| {
            let products = row.iter().zip(&weight[6 * unit..6 * unit + 6]);
            f64::from(bias[unit]) + products.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>()
        };
        let values: Vec<f64> = samples.0.inputs.chunks(6).map(value).collect();
        let (mut mean, mut var) = (0.0, 0.0);
        for chunk in values.chunks(10) {
            let n = chunk.len() as f64;
            let own = chunk.iter().sum::<f64>() / n;
            mean += n * own / 25.0;
            var += n * chunk.iter().map(|x| (x - own).powi(2)).sum::<f64>() / (n - 1.0) / 25.0;
        }
        let [found_mean, found_var] = [point.buffers[unit], point.buffers[3 + unit]].map(f64::from);
        assert!((found_mean - mean).abs() < 1e-6 && (found_var - var).abs() < 1e-6, "{unit}");
    }
    assert!(matches!(model.restate(&mut point, &samples, 0), Err(CoreError::EmptyBatch)));
}
