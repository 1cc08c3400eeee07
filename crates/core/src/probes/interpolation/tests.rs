use std::rc::Rc;

use proptest::prelude::*;
use walk_arch::{Activation, Net, Problem, linear};

use super::super::path::PathStatistics;
use super::*;
use crate::test_support::{BatchSamples, residual_network};
use crate::{Batch, BatchNormMode, Fused, Loss, Model, Seed, dot};

fn line<'a>(step: Step, from: &'a Point, to: &'a Point) -> UpdateLine<'a> {
    UpdateLine { step, from, to }
}

fn segment(losses: &[f64]) -> Segment {
    Segment::new(losses.to_vec()).unwrap()
}

#[test]
fn constant_loss_has_no_barrier() {
    let flat = segment(&[2.0; 5]);
    assert_eq!(flat.has_barrier(), Some(false));
    assert_eq!((flat.barrier_height(), flat.valley_depth(), flat.min_alpha()), (0.0, 0.0, 0.0));
}

#[test]
fn a_hill_is_a_barrier_and_a_valley_is_none() {
    let hill = segment(&[1.0, 1.5, 3.0, 2.5, 2.0]);
    assert_eq!(hill.has_barrier(), Some(true));
    assert_eq!((hill.barrier_height(), hill.valley_depth(), hill.min_loss()), (1.0, 0.5, 1.0));
    let valley = segment(&[2.0, 0.5, 0.25, 0.5, 1.0]);
    assert_eq!(valley.has_barrier(), Some(false));
    assert_eq!((valley.barrier_height(), valley.valley_depth()), (-1.5, 1.25));
    assert_eq!((valley.min_alpha(), valley.min_loss()), (0.5, 0.25));
    // higher than one end only
    assert_eq!(segment(&[1.0, 2.0, 3.0]).has_barrier(), Some(false));
    assert!(Segment::new(vec![1.0, 2.0]).is_none());
}

#[test]
fn what_is_no_number_leaves_open_what_it_might_decide() {
    let nan = f64::NAN;
    let hole = segment(&[1.0, nan, 0.5, 0.7, 1.0]);
    assert!(!hole.is_finite() && hole.barrier_height().is_nan());
    assert_eq!((hole.has_barrier(), hole.min_loss(), hole.min_alpha()), (None, 0.5, 0.5));
    // another point decides
    assert_eq!(segment(&[1.0, nan, 3.0, 1.0]).has_barrier(), Some(true));
    let start = segment(&[nan, 0.2, 0.1, 1.0]);
    assert_eq!((start.has_barrier(), start.min_loss()), (None, 0.1));
    assert!(start.valley_depth().is_nan() && start.landing().is_none());
    // a loss that overflows is a number: the barrier is there, its height is not finite
    let over = segment(&[1.0, f64::INFINITY, 1.0]);
    assert_eq!((over.has_barrier(), over.barrier_height()), (Some(true), f64::INFINITY));
    assert_eq!(segment(&[1.0, 2.0, f64::INFINITY]).has_barrier(), Some(false));
}

#[test]
fn a_step_lands_on_its_parabola() {
    let parabola =
        |floor: f64| segment(&(0..11).map(|i| (f64::from(i) / 10.0 - floor).powi(2)).collect::<Vec<_>>());
    for (floor, landing) in [(0.5, 1.0), (1.0, 0.0), (2.0, -0.5), (0.25, 3.0)] {
        assert!((parabola(floor).landing().unwrap() - landing).abs() < 1e-9, "{floor}");
    }
    assert_eq!(segment(&[0.0, 1.0, 0.0]).landing(), None);
    assert_eq!(parabola(-0.5).landing(), None);
}

proptest! {
    #[test]
    fn what_a_segment_says_holds_for_its_losses(losses in prop::collection::vec(-5.0f64..5.0, 3..20)) {
        let s = segment(&losses);
        let inside = &losses[1..losses.len() - 1];
        let above = inside.iter().any(|&l| l > losses[0] && l > losses[losses.len() - 1]);
        prop_assert_eq!(s.has_barrier(), Some(above));
        prop_assert!(losses.iter().all(|&l| l >= s.min_loss()));
        prop_assert!(s.valley_depth() >= 0.0);
        prop_assert_eq!((s.alphas()[0], s.alphas()[losses.len() - 1]), (0.0, 1.0));
    }
}

fn model_with_norms() -> (Model, BatchSamples) {
    let network = residual_network(Activation::Relu);
    let samples = BatchSamples::random(&network, 30);
    (Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy), samples)
}

/// A point, and where a large step of gradient descent leads.
fn step(model: &Model, samples: &BatchSamples) -> [Point; 2] {
    let from = model.initial(Seed(1));
    let gradient = model.at(&from).unwrap().gradient(&samples.0, BatchNormMode::Batch).unwrap();
    let mut to = from.clone();
    to.params.iter_mut().zip(&gradient.grad).for_each(|(p, g)| *p -= 0.3 * g);
    model.update_buffers(&mut to.buffers, &gradient);
    [from, to]
}

#[test]
fn the_ends_equal_a_direct_evaluation_bit_for_bit() {
    let (model, samples) = model_with_norms();
    let [from, to] = step(&model, &samples);
    let restate = |point: &mut Point| model.restate(point, &samples, 8);
    for mode in [BatchNormMode::Batch, BatchNormMode::Running] {
        let statistics = match mode {
            BatchNormMode::Batch => PathStatistics::Batch,
            BatchNormMode::Running => PathStatistics::Estimated { samples: 30, restate: Box::new(restate) },
        };
        let mut probe = Interpolation::new(11, PathLoss::new(model.evaluator(), 8, statistics));
        let segment = probe.measure(line(Step(0), &from, &to), &|_| Box::new(&samples)).unwrap();
        let direct = |point: &Point| {
            let mut point = point.clone();
            restate(&mut point).unwrap();
            model.evaluator().evaluate(&point, &samples, 8, mode).unwrap().mean_loss()
        };
        assert_eq!(segment.start_loss().to_bits(), direct(&from).to_bits());
        assert_eq!(segment.end_loss().to_bits(), direct(&to).to_bits());
        // the shared point of the next segment, and one that is not shared
        let next = probe.measure(line(Step(1), &to, &from), &|_| Box::new(&samples)).unwrap();
        assert_eq!(next.start_loss().to_bits(), direct(&to).to_bits());
        let far = probe.measure(line(Step(5), &to, &from), &|_| Box::new(&samples)).unwrap();
        assert_eq!(far.start_loss().to_bits(), direct(&to).to_bits());
    }
}

/// With one chunk of all n samples, running statistics that belong to a point are the chunk's own, but for the variance's
/// factor n / (n - 1): a batch norm's output changes by 1 / 2n of itself, about 2%.
#[test]
fn running_statistics_along_a_line_belong_to_each_point() {
    let (model, samples) = model_with_norms();
    let [from, to] = step(&model, &samples);
    let measure = |statistics| {
        let mut probe = Interpolation::new(11, PathLoss::new(model.evaluator(), 30, statistics));
        probe.measure(line(Step(0), &from, &to), &|_| Box::new(&samples)).unwrap()
    };
    let batch = measure(PathStatistics::Batch);
    let running = measure(PathStatistics::Estimated {
        samples: 30,
        restate: Box::new(|point: &mut Point| model.restate(point, &samples, 30)),
    });
    for (batch, running) in batch.losses().iter().zip(running.losses()) {
        assert!((running / batch - 1.0).abs() < 0.02, "{batch} {running}");
    }
    // the averages gathered by then are far from those of the point
    let stale = model.evaluator().evaluate(&to, &samples, 30, BatchNormMode::Running).unwrap().mean_loss();
    assert!((stale / batch.end_loss() - 1.0).abs() > 0.1, "{stale} {}", batch.end_loss());
}

/// A linear network under squared error is a quadratic in θ: the paper's identities for quadratics hold exactly.
#[test]
fn a_quadratic_reproduces_the_papers_identities() {
    let problem = Problem { input: vec![6], classes: 3 };
    let net = Net::new();
    let network = net.finish(net.input().then("fc", linear(3))).check(&problem).unwrap();
    let samples = BatchSamples::random(&network, 40);
    let part = Batch {
        inputs: samples.0.inputs[..6 * 10].to_vec(),
        labels: samples.0.labels[..10].to_vec(),
        dropout: None,
    };
    let model = Model::new(Rc::new(Fused::default()), network, Loss::SquaredError);
    let mode = BatchNormMode::Batch;
    let from = model.initial(Seed(5));
    let full_grad = |point: &Point| model.at(point).unwrap().gradient(&samples.0, mode).unwrap().grad;
    let shift = |by: &[f32], eta: f64| Point {
        params: from
            .params
            .iter()
            .zip(by)
            .map(|(p, g)| (f64::from(*p) - eta * f64::from(*g)) as f32)
            .collect(),
        ..from.clone()
    };
    let bar = full_grad(&from);
    for full in [false, true] {
        let g = if full { bar.clone() } else { model.at(&from).unwrap().gradient(&part, mode).unwrap().grad };
        let g_sq = dot(&g, &g);
        // Hg exactly, from a step of length 1 along g: the gradient of a quadratic is linear
        let hg: Vec<f32> = bar.iter().zip(full_grad(&shift(&g, 1.0))).map(|(a, b)| a - b).collect();
        let (a, rho) = (dot(&g, &hg) / g_sq, dot(&bar, &g) / g_sq);
        assert!(a > 0.0 && rho > 0.0);
        // steps to before, at and beyond the floor, and so far that the loss rises
        for eta_a in [0.5, 0.9, 1.1, 1.5, 1.9, 2.1, 3.0].map(|multiple| multiple * rho) {
            let eta = eta_a / a;
            let to = shift(&g, eta);
            let mut probe =
                Interpolation::new(11, PathLoss::new(model.evaluator(), 40, PathStatistics::Batch));
            let s = probe.measure(line(Step(0), &from, &to), &|_| Box::new(&samples)).unwrap();
            assert_eq!(s.has_barrier(), Some(false));
            assert_eq!(s.end_loss() > s.start_loss(), eta_a > 2.0 * rho);
            // L(α) = L_0 - α η gbar'g + α² η² g'Hg / 2; f32 parameters and outputs leave about 1e-6 of the loss
            let along = |alpha: f64| {
                s.start_loss() - alpha * eta * rho * g_sq + 0.5 * (alpha * eta).powi(2) * a * g_sq
            };
            for (alpha, loss) in s.alphas().iter().zip(s.losses()) {
                assert!(
                    (loss - along(*alpha)).abs() < 2e-6 * s.start_loss(),
                    "{alpha} {loss} {}",
                    along(*alpha)
                );
            }
            // the floor at α* = ρ/(ηA), interior iff ηA > ρ > 0; depth = η² g'Hg/4 (α*² + (1 - α*)²)
            let floor = rho / eta_a;
            assert_eq!(s.min_alpha() < 1.0, eta_a > rho);
            if floor < 1.0 {
                assert!((s.min_alpha() - floor).abs() <= 0.05 + 1e-3);
                let depth = 0.5 * (along(0.0) + along(1.0)) - along(floor);
                let closed = eta * eta * a * g_sq / 4.0 * (floor * floor + (1.0 - floor).powi(2));
                assert!((depth / closed - 1.0).abs() < 1e-9);
                // the grid's depth misses the parabola's by at most the curve's rise over half a step of α
                let rise = 0.5 * (0.05 * eta).powi(2) * a * g_sq;
                assert!(s.valley_depth() <= closed + 1e-5 && s.valley_depth() >= closed - rise - 1e-5);
            }
            // full batch: consecutive gradients point against each other iff ηA > 1
            if full {
                assert_eq!(dot(&bar, &full_grad(&to)) < 0.0, eta_a > 1.0, "{eta_a}");
            }
        }
    }
}
