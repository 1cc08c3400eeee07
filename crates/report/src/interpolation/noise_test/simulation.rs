//! The test against simulated epochs: 450 segments of 11 points whose consecutive segments share an end, with normal noise and an
//! estimate of σ from a few evaluations. `SLOW_TESTS=1` simulates more epochs.

use walk_record::rows::{Interpolation, Noise};
use walk_record::{EvaluationData, Row, Run, measured};

use super::flat::{FlatSegments, Scale};
use super::*;
use crate::fixture;
use crate::simulation::{Simulated, few_or_many};
use crate::statistics::sample_mean;
use crate::table::{Column, Role, Table, decimals, main, name, percent};

const SEGMENTS: usize = 450;
const POINTS: usize = 11;
/// σ, different from 1 to reveal confused units.
const SIGMA: f64 = 3e-4;

/// Losses of each segment, by its index.
type Curve = Box<dyn Fn(usize) -> [f64; POINTS]>;

struct Simulation {
    random: Simulated,
    evaluations: usize,
}

impl Simulation {
    fn new(evaluations: usize) -> Self {
        Self { random: Simulated::new(14), evaluations }
    }

    fn normal(&mut self) -> f64 {
        SIGMA * self.random.normal()
    }

    /// Losses on `curve`. Consecutive segments share an end: each curve is shifted to start where the previous one ends.
    fn epoch(&mut self, curve: impl Fn(usize) -> [f64; POINTS]) -> Vec<[f64; POINTS]> {
        let (mut level, mut end) = (0.0, self.normal());
        (0..SEGMENTS)
            .map(|index| {
                let curve = curve(index);
                let mut losses = curve.map(|loss| level + loss - curve[0] + self.normal());
                losses[0] = level + end;
                level += curve[POINTS - 1] - curve[0];
                end = losses[POINTS - 1] - level;
                losses
            })
            .collect()
    }

    fn estimate(&mut self) -> f64 {
        let values: Vec<f64> = (0..self.evaluations).map(|_| self.normal()).collect();
        let mean = sample_mean(&values).unwrap();
        mean.error * (values.len() as f64).sqrt()
    }

    /// What a run would have recorded.
    fn run(&mut self, epoch: &[[f64; POINTS]]) -> Run {
        let noise = Noise { evaluations: self.evaluations, ..fixture::noise(self.estimate()) };
        let rows = epoch.iter().enumerate().map(|(index, losses)| {
            let height = height(losses);
            let segment = Interpolation {
                alphas: (0..POINTS).map(alpha).collect(),
                losses: measured(losses),
                ..fixture::segment(height > 0.0, height)
            };
            fixture::row(1, index as u64 + 1, segment)
        });
        let rows: Vec<Row> = rows.chain([fixture::row(1, SEGMENTS as u64, noise)]).collect();
        fixture::run("simulated", rows)
    }
}

fn alpha(index: usize) -> f64 {
    index as f64 / (POINTS - 1) as f64
}

fn height(losses: &[f64; POINTS]) -> f64 {
    losses[1..POINTS - 1].iter().copied().fold(f64::NEG_INFINITY, f64::max)
        - losses[0].max(losses[POINTS - 1])
}

/// Segments whose middle is `depth` σ below the mean of their ends, alternately falling and rising.
fn valleys(depth: f64, slope: f64) -> impl Fn(usize) -> [f64; POINTS] {
    move |index| {
        let side = if index.is_multiple_of(2) { slope } else { -slope };
        std::array::from_fn(alpha)
            .map(|alpha| SIGMA * (depth * ((2.0 * alpha - 1.0).powi(2) - 1.0) + side * (alpha - 0.5)))
    }
}

/// Segments that stay level and fall by `drop` σ at their last point, or alternately the reverse.
fn plateaus(drop: f64) -> impl Fn(usize) -> [f64; POINTS] {
    move |index| {
        let low = if index.is_multiple_of(2) { POINTS - 1 } else { 0 };
        std::array::from_fn(|point| if point == low { -SIGMA * drop } else { 0.0 })
    }
}

/// The standard deviation of a share.
fn deviation(share: f64, of: usize) -> f64 {
    (share * (1.0 - share) / of as f64).sqrt()
}

fn critical(evaluations: usize, segments: usize) -> f64 {
    let flat = FlatSegments::new(std::iter::repeat_n(POINTS - 2, segments)).unwrap();
    flat.critical(&Scale::new((evaluations - 1) as f64))
}

/// How the rate of false positives compares to the stated one.
enum Rate {
    Stated,
    Lower,
    Higher,
    NotAsserted,
}

#[test]
fn false_positives_are_as_stated_on_flat_curves_rarer_in_valleys_and_more_frequent_along_plateaus() {
    let epochs = few_or_many(2000, 40_000);
    let curves: [(&str, Curve, Rate); 7] = [
        ("flat", Box::new(valleys(0.0, 0.0)), Rate::Stated),
        ("depth 1", Box::new(valleys(1.0, 0.0)), Rate::Lower),
        ("depth 1, steep", Box::new(valleys(1.0, 2.0)), Rate::Lower),
        ("depth 20, steep", Box::new(valleys(20.0, 10.0)), Rate::Lower),
        ("line", Box::new(valleys(0.0, 3.0)), Rate::NotAsserted),
        // a negative depth is a concave curve, in this case monotone
        ("concave", Box::new(valleys(-1.0, 4.0)), Rate::Higher),
        ("plateau", Box::new(plateaus(10.0)), Rate::Higher),
    ];
    for evaluations in [10, 40] {
        let critical = critical(evaluations, SEGMENTS);
        for (name, curve, rate) in &curves {
            let mut simulation = Simulation::new(evaluations);
            let tested = (0..epochs).filter(|_| {
                let highest = simulation.epoch(curve).iter().map(height).fold(f64::MIN, f64::max);
                highest > critical * simulation.estimate()
            });
            let share = tested.count() as f64 / epochs as f64;
            let error = deviation(FALSE_POSITIVES, epochs);
            println!(
                "{evaluations} evaluations, {name}: {:.2}% ± {:.2}% of {epochs} epochs, q = {critical:.3}",
                100.0 * share,
                100.0 * error
            );
            let excess = (share - FALSE_POSITIVES) / error;
            match rate {
                Rate::Stated => assert!(excess.abs() < 3.5, "{name}: {excess}"),
                Rate::Lower => assert!(excess < -3.5, "{name}: {excess}"),
                Rate::Higher => assert!(excess > 3.5, "{name}: {excess}"),
                Rate::NotAsserted => {}
            }
        }
    }
}

#[test]
fn a_detectable_barrier_is_seen_as_often_as_stated() {
    let trials = few_or_many(20_000, 400_000);
    for (evaluations, segments) in [(10, 1), (10, SEGMENTS), (40, 40), (40, SEGMENTS)] {
        let flat = FlatSegments::new(std::iter::repeat_n(POINTS - 2, segments)).unwrap();
        let scale = Scale::new((evaluations - 1) as f64);
        let critical = flat.critical(&scale);
        let detectable = flat.detectable(critical, &scale);
        let mut simulation = Simulation::new(evaluations);
        let seen = (0..trials).filter(|_| {
            let mut losses: [f64; POINTS] = std::array::from_fn(|_| simulation.normal());
            losses[3] += SIGMA * detectable;
            height(&losses) > critical * simulation.estimate()
        });
        let share = seen.count() as f64 / trials as f64;
        println!(
            "{evaluations} evaluations, {segments} segments: q = {critical:.3}, detectable {detectable:.3}, seen {share:.4}"
        );
        assert!((share - POWER).abs() < 3.5 * deviation(POWER, trials), "{share}");
    }
}

/// Numbers of barriers found and predicted in simulated epochs.
#[derive(Default)]
struct Comparison {
    epochs: f64,
    found: f64,
    predicted: f64,
    squares: f64,
    variance: f64,
    /// More than two, and three, standard deviations apart.
    beyond: [f64; 2],
}

impl Comparison {
    fn add(&mut self, found: f64, prediction: Prediction) {
        let predicted = prediction.count.unwrap();
        self.epochs += 1.0;
        self.found += found;
        self.predicted += predicted;
        self.squares += (found - predicted).powi(2);
        self.variance += prediction.deviation.powi(2);
        for (beyond, reach) in self.beyond.iter_mut().zip([2.0, 3.0]) {
            *beyond += f64::from((found - predicted).abs() > reach * prediction.deviation);
        }
    }

    /// Checks that the prediction is right on average up to `bias`, a share of the number found and at most 0.5% of the
    /// segments, and that its standard deviation is as stated.
    fn check(&self, case: &str, bias: f64) {
        let n = self.epochs;
        let (found, predicted) = (self.found / n, self.predicted / n);
        let (deviation, stated) = ((self.squares / n).sqrt(), (self.variance / n).sqrt());
        let [two, three] = self.beyond.map(|beyond| 100.0 * beyond / n);
        println!(
            "{case}: found {found:.2}, predicted {predicted:.2}, deviation {deviation:.2}, stated {stated:.2}, \
             beyond two {two:.1}%, beyond three {three:.1}%"
        );
        let apart = (found - predicted).abs();
        let bias = (bias * found).min(0.005 * SEGMENTS as f64);
        assert!(apart <= bias + 3.5 * deviation / n.sqrt(), "{found} is not {predicted}");
        // a standard deviation has a relative error of 1 / √(2 n)
        let tolerance = 0.15 + 3.5 / (2.0 * n).sqrt();
        assert!((deviation - stated).abs() <= 0.1 + tolerance * stated, "{deviation} is not {stated}");
    }
}

fn number_of_barriers(epoch: &[[f64; POINTS]]) -> f64 {
    epoch.iter().filter(|losses| height(losses) > 0.0).count() as f64
}

#[test]
fn the_expected_number_is_that_found_where_there_is_only_noise() {
    let epochs = few_or_many(6, 200);
    // parabolas; for the last, noise also produces barriers at only one end
    for (depth, slope) in
        [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.0, 3.0), (4.0, 8.0), (3.0, 14.0), (20.0, 10.0)]
    {
        for evaluations in [10, 40] {
            let mut simulation = Simulation::new(evaluations);
            let mut comparison = Comparison::default();
            for _ in 0..epochs {
                let epoch = simulation.epoch(valleys(depth, slope));
                let run = simulation.run(&epoch);
                let segments = run.by_epoch::<Interpolation>().remove(&1).unwrap();
                let noises = run.by_epoch::<Noise>().remove(&1).unwrap();
                let prediction = NoiseTest::new(&segments, &noises).unwrap().expected(&segments);
                comparison.add(number_of_barriers(&epoch), prediction);
            }
            // the estimate of σ is unbiased only in its square
            comparison.check(&format!("{evaluations} evaluations, depth {depth}, slope {slope}"), 0.01);
        }
    }
}

#[test]
fn curves_without_noise_predict_what_the_papers_evaluation_shows() {
    let epochs = few_or_many(40, 400);
    for (depth, slope) in [(0.5, 0.0), (1.0, 3.0), (4.0, 8.0)] {
        let mut simulation = Simulation::new(40);
        let curve = valleys(depth, slope);
        let mut comparison = Comparison::default();
        for _ in 0..epochs {
            let noise = Noise {
                evaluations: simulation.evaluations,
                evaluation: EvaluationData::Paper,
                ..fixture::noise(simulation.estimate())
            };
            let segment = |index: usize| Interpolation {
                alphas: (0..POINTS).map(alpha).collect(),
                losses: measured(&curve(index)),
                evaluation: EvaluationData::Augmented,
                ..fixture::segment(false, -1.0)
            };
            let rows = (0..SEGMENTS).map(|index| fixture::row(1, index as u64 + 1, segment(index)));
            let rows: Vec<Row> = rows.chain([fixture::row(1, 1, noise)]).collect();
            let run = fixture::run("simulated", rows);
            let segments = run.by_epoch::<Interpolation>().remove(&1).unwrap();
            let noises = run.by_epoch::<Noise>().remove(&1).unwrap();
            assert!(NoiseTest::new(&segments, &noises).is_none());
            let prediction = PaperPrediction::new(&segments, &noises).unwrap().barriers;
            comparison.add(number_of_barriers(&simulation.epoch(&curve)), prediction);
        }
        comparison.check(&format!("depth {depth}, slope {slope}"), 0.0);
    }
}

#[test]
fn real_barriers_are_not_expected_from_noise() {
    let mut simulation = Simulation::new(40);
    let bump = |index: usize| {
        let mut curve = [0.0; POINTS];
        curve[5] = if index < 20 { 30.0 * SIGMA } else { 0.0 };
        std::array::from_fn(|point| curve[point] + valleys(20.0, 0.0)(index)[point])
    };
    let epoch = simulation.epoch(bump);
    let run = simulation.run(&epoch);
    let (segments, noises) = (&run.by_epoch::<Interpolation>()[&1], &run.by_epoch::<Noise>()[&1]);
    let test = NoiseTest::new(segments, noises).unwrap();
    let expected = test.expected(segments).count.unwrap();
    let barriers = segments.iter().filter(|segment| segment.barrier == Some(true)).count();
    let tested = segments.iter().filter(|segment| test.rejects(segment)).count();
    assert_eq!((barriers, tested), (20, 20));
    assert!(expected < 0.5, "{expected}");
}

#[test]
fn the_documents_have_the_power_table() {
    let heights = [4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0];
    let cases = [10usize, 40]
        .into_iter()
        .flat_map(|evaluations| [1, 40, SEGMENTS].map(|segments| (evaluations, segments)));
    let rows = cases.map(|(evaluations, segments)| {
        let flat = FlatSegments::new(std::iter::repeat_n(POINTS - 2, segments)).unwrap();
        let scale = Scale::new((evaluations - 1) as f64);
        let critical = flat.critical(&scale);
        let row = [evaluations.into(), segments.into(), decimals(critical, 2)];
        let powers = heights.map(|height| percent(flat.power(height, critical, &scale), 1));
        let detectable = decimals(flat.detectable(critical, &scale), 2);
        row.into_iter().chain(powers).chain([detectable]).collect()
    });
    let columns = [name("evaluations", "evaluations"), main("segments", "segments"), main("q", "q")];
    let powers = heights.map(|height| Column::new("power", format!("{height} σ"), Role::Main));
    let columns = columns.into_iter().chain(powers).chain([main("detectable", "detectable, σ")]);
    let table = Table::new("power", "Power", columns, rows).markdown();
    println!("{table}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/STATISTICS.md");
    assert!(
        std::fs::read_to_string(path).unwrap().contains(&table),
        "docs/STATISTICS.md does not have this table:\n{table}"
    );
}
