use proptest::prelude::*;
use walk_arch::{Activation, Net, Problem, linear};

use super::*;
use crate::test_support::{Noise, residual_network};
use crate::{Batch, Fused, Loss, Model, Seed, dot};

fn line<'a>(step: Step, from: &'a Point, to: &'a Point) -> UpdateLine<'a> {
    UpdateLine { step, from, to }
}

fn segment(losses: &[f64]) -> Segment {
    Segment::new(losses.to_vec()).unwrap()
}

#[test]
fn constant_loss_has_no_barrier() {
    let flat = segment(&[2.0; 5]);
    assert!(!flat.has_barrier());
    assert_eq!((flat.barrier_height(), flat.valley_depth(), flat.min_alpha()), (0.0, 0.0, 0.0));
}

#[test]
fn a_hill_is_a_barrier_and_a_valley_is_none() {
    let hill = segment(&[1.0, 1.5, 3.0, 2.5, 2.0]);
    assert!(hill.has_barrier());
    assert_eq!((hill.barrier_height(), hill.valley_depth(), hill.min_loss()), (1.0, 0.5, 1.0));
    let valley = segment(&[2.0, 0.5, 0.25, 0.5, 1.0]);
    assert!(!valley.has_barrier());
    assert_eq!((valley.barrier_height(), valley.valley_depth()), (-1.5, 1.25));
    assert_eq!((valley.min_alpha(), valley.min_loss()), (0.5, 0.25));
    // higher than one end only
    assert!(!segment(&[1.0, 2.0, 3.0]).has_barrier());
    assert!(Segment::new(vec![1.0, 2.0]).is_none());
    assert!(!segment(&[1.0, f64::NAN, 1.0]).is_finite());
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
        prop_assert_eq!(s.has_barrier(), above);
        prop_assert!(losses.iter().all(|&l| l >= s.min_loss()));
        prop_assert!(s.valley_depth() >= 0.0);
        prop_assert_eq!((s.alphas()[0], s.alphas()[losses.len() - 1]), (0.0, 1.0));
    }
}

#[test]
fn the_ends_equal_a_direct_evaluation_bit_for_bit() {
    for batch_norm in [BatchNormMode::Batch, BatchNormMode::Running] {
        let network = residual_network(Activation::Relu);
        let samples = Noise::new(&network, 30);
        let model = Model::new(Fused::default(), network, Loss::CrossEntropy);
        let from = model.initial(Seed(1));
        let gradient = model.gradient(&from, &samples.0, BatchNormMode::Batch).unwrap();
        let mut to = from.clone();
        to.params.iter_mut().zip(&gradient.grad).for_each(|(p, g)| *p -= 0.3 * g);
        model.update_buffers(&mut to.buffers, &gradient);
        let config = InterpolationConfig { points: 11, chunk: 8, batch_norm };
        let mut probe = Interpolation::new(config, model.evaluator());
        let segment = probe.measure(line(Step(0), &from, &to), &|_| Box::new(&samples)).unwrap();
        let direct = |point| model.evaluator().evaluate(point, &samples, 8, batch_norm).unwrap().mean_loss();
        assert_eq!(segment.start_loss().to_bits(), direct(&from).to_bits());
        assert_eq!(segment.end_loss().to_bits(), direct(&to).to_bits());
        // the shared point of the next segment, and one that is not shared
        let next = probe.measure(line(Step(1), &to, &from), &|_| Box::new(&samples)).unwrap();
        assert_eq!(next.start_loss().to_bits(), direct(&to).to_bits());
        let far = probe.measure(line(Step(5), &to, &from), &|_| Box::new(&samples)).unwrap();
        assert_eq!(far.start_loss().to_bits(), direct(&to).to_bits());
    }
}

/// A linear network under squared error is a quadratic in θ: the paper's identities for quadratics hold exactly.
#[test]
fn a_quadratic_reproduces_the_papers_identities() {
    let problem = Problem { input: vec![6], classes: 3 };
    let net = Net::new();
    let network = net.finish(net.input().then("fc", linear(3))).check(&problem).unwrap();
    let samples = Noise::new(&network, 40);
    let part = Batch {
        inputs: samples.0.inputs[..6 * 10].to_vec(),
        labels: samples.0.labels[..10].to_vec(),
        dropout: None,
    };
    let model = Model::new(Fused::default(), network, Loss::SquaredError);
    let mode = BatchNormMode::Batch;
    let from = model.initial(Seed(5));
    let full_grad = |point: &Point| model.gradient(point, &samples.0, mode).unwrap().grad;
    let shift = |by: &[f32], eta: f64| Point {
        params: from
            .params
            .iter()
            .zip(by)
            .map(|(p, g)| (f64::from(*p) - eta * f64::from(*g)) as f32)
            .collect(),
        ..from.clone()
    };
    let config = InterpolationConfig { points: 11, chunk: 40, batch_norm: mode };
    let bar = full_grad(&from);
    for full in [false, true] {
        let g = if full { bar.clone() } else { model.gradient(&from, &part, mode).unwrap().grad };
        let g_sq = dot(&g, &g);
        // Hg exactly, from a step of length 1 along g: the gradient of a quadratic is linear
        let hg: Vec<f32> = bar.iter().zip(full_grad(&shift(&g, 1.0))).map(|(a, b)| a - b).collect();
        let (a, rho) = (dot(&g, &hg) / g_sq, dot(&bar, &g) / g_sq);
        assert!(a > 0.0 && rho > 0.0);
        // steps to before, at and beyond the floor, and so far that the loss rises
        for eta_a in [0.5, 0.9, 1.1, 1.5, 1.9, 2.1, 3.0].map(|multiple| multiple * rho) {
            let eta = eta_a / a;
            let to = shift(&g, eta);
            let mut probe = Interpolation::new(config, model.evaluator());
            let s = probe.measure(line(Step(0), &from, &to), &|_| Box::new(&samples)).unwrap();
            assert!(!s.has_barrier());
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
