use std::rc::Rc;

use rand::Rng;
use rand_distr::{Distribution, Normal};
use walk_arch::Activation;

use super::test_support::{Given, Numbers};
use super::*;
use crate::probes::interpolation::Interpolation;
use crate::probes::path::PathStatistics;
use crate::test_support::{BatchSamples, is_slow, residual_network};
use crate::{BatchNormMode, Fused, Loss, Model, Step};

fn line<'a>(step: Step, from: &'a Point, to: &'a Point) -> UpdateLine<'a> {
    UpdateLine { step, from, to }
}

const POINTS: usize = 11;
const CHUNKS: usize = 450;
/// Samples in a chunk, all with the chunk's loss.
const CHUNK: usize = 50;

/// Losses of every chunk along one segment: a parabola per chunk, whose terms spread from chunk to chunk.
#[derive(Clone)]
struct Synthetic {
    /// Level, slope and curvature of each chunk.
    chunks: Vec<[f64; 3]>,
}

impl Synthetic {
    fn draw(seed: u64, [slope, curvature]: [f64; 2], spread: [f64; 3]) -> Self {
        let mut rng = Seed(seed).rng(Stream::Order, []);
        let normal = Normal::new(0.0, 1.0).unwrap();
        let mut chunk = || {
            [2.0, slope, curvature]
                .into_iter()
                .zip(spread)
                .map(|(x, s)| x + s * normal.sample(&mut rng))
                .collect()
        };
        let chunks =
            (0..CHUNKS).map(|_: usize| -> Vec<f64> { chunk() }).map(|c| [c[0], c[1], c[2]]).collect();
        Self { chunks }
    }

    fn loss(&self, chunk: usize, alpha: f64) -> f64 {
        let [level, slope, curvature] = self.chunks[chunk];
        level + slope * alpha + curvature * alpha * alpha
    }

    /// The exact verdict.
    fn barrier(&self) -> bool {
        let mean = |point: usize| -> f64 {
            (0..CHUNKS).map(|chunk| self.loss(chunk, point as f64 / (POINTS - 1) as f64)).sum::<f64>()
        };
        let top = mean(0).max(mean(POINTS - 1));
        (1..POINTS - 1).any(|point| mean(point) > top)
    }
}

fn decide(synthetic: &Synthetic, order: u64, error_rate: f64) -> Decision {
    let config = AdaptiveConfig { points: POINTS, error_rate, segments: 1, guard: 1.5, audit: 0.0 };
    let synthetic = synthetic.clone();
    // α is the only parameter
    let losses =
        move |point: &Point, sample: usize| synthetic.loss(sample / CHUNK, f64::from(point.params[0]));
    let path = PathLoss::new(Box::new(Given(losses)), CHUNK, PathStatistics::Batch);
    let mut probe = Adaptive::new(config, Seed(1), path);
    let at = |alpha: f32| Point { params: vec![alpha], buffers: vec![] };
    probe.measure(line(Step(0), &at(0.0), &at(1.0)), order, &|_| Box::new(Numbers(CHUNKS * CHUNK))).unwrap()
}

#[test]
fn a_clear_valley_takes_few_chunks_and_a_clear_hill_is_a_barrier() {
    // the ends nearly level, each chunk's slope far noisier than the curve: only the chord tells
    let valley = Synthetic::draw(1, [-0.11, 0.1], [0.1, 0.1, 0.03]);
    let decision = decide(&valley, 0, 1e-3 / 450.0);
    assert_eq!((decision.early, decision.exact), (false, false));
    assert!(decision.chunks < CHUNKS / 10, "{}", decision.chunks);
    assert!(decision.evaluations <= POINTS * decision.chunks);
    // the floor of -0.11 α + 0.1 α² lies at 0.55, 0.03 below the start and 0.025 below the mean of the ends
    let [low, high] = decision.estimate.min_alpha_interval;
    assert!(low <= 0.55 && high >= 0.5, "{low} {high}");
    let (depth, error) = (decision.estimate.segment.valley_depth(), decision.estimate.depth_error);
    assert!((depth - 0.025).abs() < 5.0 * error + 0.002, "{depth} {error}");
    let hill = Synthetic::draw(2, [0.2, -0.2], [0.1, 0.02, 0.02]);
    let decision = decide(&hill, 0, 1e-3 / 450.0);
    assert_eq!((decision.early, decision.exact), (true, false));
    assert!(decision.chunks < CHUNKS / 2);
}

#[test]
fn a_loss_that_is_no_number_leaves_the_verdict_open() {
    let mut broken = Synthetic::draw(1, [-0.11, 0.1], [0.1, 0.1, 0.03]);
    broken.chunks[CHUNKS / 2][0] = f64::NAN;
    // wherever the chunk is seen, everything is; otherwise the audit of the first segment sees it
    let decisions = (0..40).map(|order| decide(&broken, order, 1e-3 / 450.0));
    let (seen, unseen): (Vec<Decision>, Vec<Decision>) = decisions.partition(|decision| decision.exact);
    assert!(seen.iter().chain(&unseen).all(|decision| decision.barrier.is_none()));
    assert!(!seen.is_empty() && seen.iter().all(|decision| decision.audit.is_none()));
    assert!(!unseen.is_empty() && unseen.iter().all(|decision| !decision.early && decision.audit.is_some()));
}

#[test]
fn thousands_of_segments_keep_the_promised_error_rate() {
    // half of them right at the noise: the mean curve is a line, or a bow a standard error high or low
    const SEGMENTS: u64 = 3000;
    const ERROR_RATE: f64 = 0.02;
    let (mut wrong, mut early) = (0, 0);
    for index in 0..SEGMENTS {
        let mut rng = Seed(index).rng(Stream::Order, [7, 7]);
        let size = 10f64.powf(rng.gen_range(-4.0..-1.0));
        let slope = if rng.r#gen() { 0.0 } else { rng.gen_range(-1.0..1.0) * size };
        let curvature = [0.0, 0.03 / 450f64.sqrt(), -0.03 / 450f64.sqrt(), size, -size][index as usize % 5];
        let segment = Synthetic::draw(index + 10, [slope - curvature, curvature], [0.2, 0.05, 0.03]);
        let decision = decide(&segment, index, ERROR_RATE);
        wrong += u64::from(decision.early != segment.barrier());
        early += u64::from(!decision.exact);
    }
    // 60 would be all that is allowed
    assert!(wrong as f64 <= ERROR_RATE * SEGMENTS as f64, "{wrong} wrong");
    assert!(early > SEGMENTS / 4, "{early} early");
}

#[test]
fn a_curve_at_the_boundary_keeps_the_error_rate_over_all_looks() {
    // the ends are level and the middle is higher by less than any sample can tell: "none" is wrong, and most likely at the
    // boundary; every look is a chance of it
    const ERROR_RATE: f64 = 0.02;
    let segments = if is_slow() { 2000 } else { 400 };
    let wrong = (0..segments).filter(|&index| {
        let mut segment = Synthetic::draw(index + 10, [0.0, 0.0], [0.2, 0.05, 0.03]);
        for (term, mean) in [(1, 1e-9), (2, -1e-9)] {
            let sum: f64 = segment.chunks.iter().map(|chunk| chunk[term]).sum();
            segment.chunks.iter_mut().for_each(|chunk| chunk[term] += mean - sum / CHUNKS as f64);
        }
        assert!(segment.barrier());
        !decide(&segment, index, ERROR_RATE).early
    });
    let (wrong, expected) = (wrong.count() as f64, ERROR_RATE * segments as f64);
    println!("{wrong} of {segments} wrong at a rate of {ERROR_RATE}");
    assert!(wrong <= expected + 2.0 * expected.sqrt(), "{wrong} wrong, {expected} expected at most");
}

#[test]
fn with_all_chunks_it_is_the_exact_measurement_and_shared_ends_are_kept() {
    let network = residual_network(Activation::Tanh);
    let samples = BatchSamples::random(&network, 60);
    let model = Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy);
    let batch_norm = BatchNormMode::Batch;
    let from = model.initial(Seed(1));
    let gradient = model.at(&from).unwrap().gradient(&samples.0, batch_norm).unwrap();
    let step = |eta: f32| {
        let mut to = from.clone();
        to.params.iter_mut().zip(&gradient.grad).for_each(|(p, g)| *p -= eta * g);
        to
    };
    let (middle, end) = (step(0.4), step(-0.4));
    // six chunks are fewer than a first look
    let config = AdaptiveConfig { points: 5, error_rate: 0.01, segments: 1, guard: 1.5, audit: 0.0 };
    let path = |chunk| PathLoss::new(model.evaluator(), chunk, PathStatistics::Batch);
    let mut adaptive = Adaptive::new(config, Seed(2), path(10));
    let mut exact = Interpolation::new(5, path(10));
    for (index, (a, b)) in [(&from, &middle), (&middle, &end)].into_iter().enumerate() {
        let at = Step(index as u64);
        let decision = adaptive.measure(line(at, a, b), 1, &|_| Box::new(&samples)).unwrap();
        let segment = exact.measure(line(at, a, b), &|_| Box::new(&samples)).unwrap();
        assert_eq!((decision.barrier, decision.exact), (segment.has_barrier(), true));
        assert_eq!(decision.evaluations, if index == 0 { 30 } else { 24 });
        let found = decision.estimate;
        for (found, expected) in found.segment.losses().iter().zip(segment.losses()) {
            assert!((found - expected).abs() < 1e-14 * expected);
        }
        assert!((found.segment.valley_depth() - segment.valley_depth()).abs() < 1e-14);
        assert!(found.depth_error < 1e-12 && found.min_loss_error < 1e-12);
    }
    let mut uneven = Adaptive::new(config, Seed(2), path(7));
    let refused = uneven.measure(line(Step(0), &from, &end), 1, &|_| Box::new(&samples));
    assert!(matches!(refused, Err(CoreError::Length { found: 60, expected: 56, .. })));
}
