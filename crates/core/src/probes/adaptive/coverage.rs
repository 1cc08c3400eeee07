//! How often two standard errors of a floor, a depth and a floor's move cover the values on all samples.

use std::rc::Rc;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use walk_arch::{Activation, Net, Network, Problem, batch_norm, linear};

use super::test_support::{Given, Numbers};
use super::*;
use crate::probes::interpolation::Segment;
use crate::probes::path::PathStatistics;
use crate::test_support::{BatchSamples, image_network, is_slow, preactivation_network};
use crate::{Batch, BatchNormMode, Fused, Loss, Model};

const SAMPLES: usize = 6000;
const CHUNK: usize = 50;
const POINTS: usize = 11;

/// The losses of consecutive segments, `[segment][point][sample]`.
type Losses = Vec<Vec<Vec<f64>>>;

fn mlp(norms: bool, activation: Activation) -> Network {
    let problem = Problem { input: vec![60], classes: 6 };
    let net = Net::new();
    let hidden = net.input().then("fc1", linear(40));
    let hidden = if norms { hidden.then("bn1", batch_norm()) } else { hidden };
    net.finish(hidden.then("act1", activation).then("fc2", linear(6))).check(&problem).unwrap()
}

/// Random inputs whose classes are given by a random linear map, with noise of standard deviation `doubt`.
fn taught(network: &Network, doubt: f32, seed: Seed) -> Batch {
    let Problem { input, classes } = network.problem().clone();
    let features: usize = input.iter().product();
    let mut rng = seed.rng(Stream::Order, [5]);
    let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| StandardNormal.sample(&mut rng)).collect() };
    let (teacher, inputs) = (normal(features * classes), normal(SAMPLES * features));
    let noise = normal(SAMPLES * classes);
    let label = |row: usize| {
        let x = &inputs[row * features..][..features];
        let score = |class: usize| {
            let product: f32 =
                teacher[class * features..][..features].iter().zip(x).map(|(a, b)| a * b).sum();
            product + doubt * noise[row * classes + class]
        };
        (0..classes).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap()
    };
    let labels = (0..SAMPLES).map(label).collect();
    Batch { inputs, labels, dropout: None }
}

/// The losses of `segments` SGD updates after `before` others.
fn record(network: Network, doubt: f32, before: usize, segments: usize, seed: Seed) -> Losses {
    let samples = BatchSamples(taught(&network, doubt, seed));
    let model = Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy);
    let (mut evaluator, mut rng) = (model.evaluator(), seed.rng(Stream::Order, [6]));
    let mut point = model.initial(seed);
    let mut losses = vec![];
    for update in 0..before + segments {
        let batch: Vec<usize> = (0..50).map(|_| rng.gen_range(0..SAMPLES)).collect();
        let gradient =
            model.at(&point).unwrap().gradient(&samples.pick(&batch), BatchNormMode::Batch).unwrap();
        let mut next = point.clone();
        next.params.iter_mut().zip(&gradient.grad).for_each(|(x, g)| *x -= 0.2 * g);
        if update >= before {
            let line = UpdateLine { step: Step(0), from: &point, to: &next };
            let mut between = Point::default();
            let mut at = |index: usize| {
                line.set_point(index, POINTS - 1, &mut between);
                let found = evaluator.evaluate(&between, &samples, CHUNK, BatchNormMode::Batch).unwrap();
                found.chunks.into_iter().flat_map(|chunk| chunk.losses).collect()
            };
            losses.push((0..POINTS).map(&mut at).collect());
        }
        point = next;
    }
    losses
}

/// The number of intervals, and how many cover the true value.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: usize,
    covered: usize,
}

impl Count {
    fn add(&mut self, found: f64, error: f64, truth: f64) {
        if error > 0.0 {
            self.all += 1;
            self.covered += usize::from((found - truth).abs() <= 2.0 * error);
        }
    }

    fn share(self) -> f64 {
        self.covered as f64 / self.all as f64
    }
}

/// Of floors, depths and moves, in the order of `orders` in which chunks are drawn.
fn coverage(losses: &Rc<Losses>, orders: u64) -> [Count; 3] {
    let mean = |losses: &Vec<f64>| losses.iter().sum::<f64>() / SAMPLES as f64;
    let exact: Vec<Segment> =
        losses.iter().map(|points| Segment::new(points.iter().map(mean).collect()).unwrap()).collect();
    let mut counts = [Count::default(); 3];
    for order in 0..orders {
        let recorded = losses.clone();
        // a point's first parameter is α, its second the segment
        let given = move |point: &Point, sample: usize| {
            let index = (point.params[0] * (POINTS - 1) as f32).round() as usize;
            recorded[point.params[1].round() as usize][index][sample]
        };
        let path = PathLoss::new(Box::new(Given(given)), CHUNK, PathStatistics::Batch);
        let config =
            AdaptiveConfig { points: POINTS, error_rate: 1e-3, segments: 100, guard: 1.5, audit: 0.01 };
        let mut adaptive = Adaptive::new(config, Seed(order), path);
        let mut before: Option<(f64, f64)> = None;
        for (index, truth) in exact.iter().enumerate() {
            let at = |alpha: f32| Point { params: vec![alpha, index as f32], buffers: vec![] };
            let line = UpdateLine { step: Step(index as u64), from: &at(0.0), to: &at(1.0) };
            let decision = adaptive.measure(line, order, &|_| Box::new(Numbers(SAMPLES))).unwrap();
            let CurveEstimate { segment, min_loss_error, depth_error, .. } = decision.estimate;
            if !decision.exact {
                counts[0].add(segment.min_loss(), min_loss_error, truth.min_loss());
                counts[1].add(segment.valley_depth(), depth_error, truth.valley_depth());
                if let (Some((found, exact)), Some(error)) = (before, decision.floor_move_error) {
                    counts[2].add(segment.min_loss() - found, error, truth.min_loss() - exact);
                }
            }
            before = Some((segment.min_loss(), truth.min_loss()));
        }
    }
    counts
}

#[test]
fn two_standard_errors_cover_95_percent() {
    let is_slow = is_slow();
    let (segments, orders) = if is_slow { (40, 40) } else { (8, 20) };
    let mut sum = [Count::default(); 3];
    for (name, network, doubt, updates) in [
        ("mlp with norms", mlp(true, Activation::Relu), 2.0, [20, 400]),
        ("mlp", mlp(false, Activation::Tanh), 2.0, [20, 400]),
        // few samples are left that are not classified with high confidence
        ("mlp, nearly fitted", mlp(true, Activation::Relu), 0.0, [1000, 3000]),
        ("convolutions", image_network(Activation::Relu), 2.0, [20, 400]),
        ("residual", preactivation_network(Activation::Relu), 2.0, [20, 400]),
    ] {
        for before in updates {
            let losses = Rc::new(record(network.clone(), doubt, before, segments, Seed(7)));
            let counts = coverage(&losses, orders);
            println!(
                "{name}, after {before} updates: {} intervals, {:.3?}",
                counts[0].all,
                counts.map(Count::share)
            );
            sum.iter_mut().zip(counts).for_each(|(sum, count)| {
                sum.all += count.all;
                sum.covered += count.covered;
            });
        }
    }
    println!(
        "{:?} intervals of floors, depths, moves: {:.3?}",
        sum.map(|count| count.all),
        sum.map(Count::share)
    );
    // segments of one order share chunks: about as many independent intervals as orders and networks
    let tolerance = if is_slow { 0.02 } else { 0.04 };
    assert!(sum.iter().all(|count| (count.share() - 0.95).abs() <= tolerance), "{:?}", sum.map(Count::share));
}
