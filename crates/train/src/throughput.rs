//! Measures how fast a network is evaluated and trained.

use std::time::{Duration, Instant};

use rayon::prelude::*;
use walk_core::{Batch, BatchNormMode, Model, Point, Seed, interpolate};
use walk_data::Subset;

use crate::samples::{First, Fixed, fill_batch};
use crate::{OptimConfig, OptimizerState, TrainError};

/// What to time.
#[derive(Clone, Debug)]
pub struct ThroughputConfig {
    /// Number of samples evaluated per repetition, at most the size of the training set; if `None`, as many whole chunks as
    /// are evaluated in about a second.
    pub samples: Option<usize>,
    /// Number of samples per evaluation chunk.
    pub chunk: usize,
    /// Number of losses per interpolated step that are not shared with the previous step.
    pub points: usize,
    /// Maximum number of samples of a timed gradient.
    pub most_in_batch: usize,
    /// Number of repetitions of each measurement; the median is reported.
    pub repeat: usize,
}

/// Medians over the repetitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// Number of samples evaluated.
    pub samples: usize,
    /// Losses without gradient, with batch norm on each chunk's statistics.
    pub eval_images_per_s: f64,
    /// Loss, gradient and update.
    pub train_images_per_s: f64,
    /// Normalizing and, if the experiment requests it, cropping and flipping training samples.
    pub prepare_images_per_s: f64,
    /// Exact Hessian-vector products over at most 500 samples, in batches of the evaluation's chunk.
    pub hvp_images_per_s: f64,
    /// One interpolated step: `points` losses of all the samples, from newly interpolated parameters each time.
    pub segment_s: f64,
    /// Peak memory of the process up to the end of the first evaluation, in bytes; `None` if the system does not report
    /// it.
    pub eval_peak_memory: Option<u64>,
    /// The same up to the end of all measurements.
    pub peak_memory: Option<u64>,
}

/// Minimum time over which training and products are timed: threads can be slow for a tenth of a second.
const LEAST_TIME: Duration = Duration::from_millis(300);
/// Time of one evaluation whose number of samples is not given.
const EVALUATION_TIME: Duration = Duration::from_secs(1);
/// Maximum number of samples of a timed Hessian-vector product.
const HVP_SAMPLES: usize = 500;

/// Times evaluation, training and interpolation in turn, after one warm-up round.
///
/// # Errors
/// [`TrainError::Core`] if the device fails.
pub fn throughput(
    model: &Model,
    part: &Subset,
    optim: &OptimConfig,
    config: &ThroughputConfig,
) -> Result<Throughput, TrainError> {
    let point = model.initial(Seed(0));
    let (mut next, mut between) = (point.clone(), point.clone());
    let mut optimizer = OptimizerState::default();
    optimizer.prepare(optim.rule, point.params.len());
    let mut evaluator = model.evaluator();
    let mut evaluate = |point: &Point, samples: &First<'_>| {
        let started = Instant::now();
        evaluator.evaluate(point, samples, config.chunk, BatchNormMode::Batch)?;
        Ok::<_, TrainError>(started.elapsed().as_secs_f64())
    };
    let number = match config.samples {
        Some(number) => number,
        None => {
            let trial = First(Fixed(part), (config.chunk * rayon::current_num_threads()).min(part.len()));
            evaluate(&point, &trial)?;
            let trials = (EVALUATION_TIME.as_secs_f64() / evaluate(&point, &trial)?).ceil();
            trial.1.saturating_mul(trials as usize)
        }
    };
    let samples = First(Fixed(part), number.clamp(1, part.len()));
    let mut batch = Batch::default();
    let rows = optim.batch_size.min(part.len()).min(config.most_in_batch);
    let (mut eval, mut train, mut prepare) = (vec![], vec![], vec![]);
    let (mut segment, mut hvp) = (vec![], vec![]);
    let mut eval_peak_memory = None;
    for round in 0..=config.repeat {
        let evaluated = evaluate(&point, &samples)?;
        if round == 0 {
            eval_peak_memory = peak_memory();
        }
        let prepared = prepared_per_s(part, rows);
        let least_steps = (samples.1 / rows / 4).clamp(1, 20);
        let trained = time_of_one(least_steps, |step| {
            let start = step * rows % (part.len() - rows + 1);
            fill_batch(part, (start..start + rows).into_par_iter(), Some((Seed(0), 1)), &mut batch);
            let gradient = model.at(&point)?.gradient(&batch, BatchNormMode::Batch)?;
            optimizer.update(optim, optim.lr, &point.params, &gradient.grad, &mut next.params);
            Ok(())
        })?;
        let started = Instant::now();
        for index in 0..config.points {
            let alpha = index as f64 / config.points as f64;
            interpolate(&point.params, &next.params, alpha, &mut between.params);
            evaluate(&between, &samples)?;
        }
        let segment_time = started.elapsed().as_secs_f64();
        let multiplied_samples = samples.1.min(HVP_SAMPLES);
        let at = model.at(&point)?;
        let multiplied = time_of_one(1, |_| {
            for start in (0..multiplied_samples).step_by(config.chunk) {
                let end = multiplied_samples.min(start + config.chunk);
                fill_batch(part, (start..end).into_par_iter(), Some((Seed(0), 1)), &mut batch);
                at.hessian_vector(&batch, &next.params, BatchNormMode::Batch)?;
            }
            Ok(())
        })?;
        let multiplied = multiplied / multiplied_samples as f64;
        if round > 0 {
            hvp.push(multiplied);
            eval.push(evaluated);
            train.push(trained);
            prepare.push(prepared);
            segment.push(segment_time);
        }
    }
    Ok(Throughput {
        samples: samples.1,
        eval_images_per_s: samples.1 as f64 / median(eval),
        train_images_per_s: rows as f64 / median(train),
        prepare_images_per_s: median(prepare),
        hvp_images_per_s: 1.0 / median(hvp),
        segment_s: median(segment),
        eval_peak_memory,
        peak_memory: peak_memory(),
    })
}

/// Seconds per repetition of `work`, which receives its number: the mean over at least `least` repetitions, and over at least
/// [`LEAST_TIME`].
fn time_of_one(
    least: usize,
    mut work: impl FnMut(usize) -> Result<(), TrainError>,
) -> Result<f64, TrainError> {
    let (mut done, started) = (0, Instant::now());
    while done < least || started.elapsed() < LEAST_TIME {
        work(done)?;
        done += 1;
    }
    Ok(started.elapsed().as_secs_f64() / done as f64)
}

/// The speed at which batches of `rows` are prepared, in samples per second.
fn prepared_per_s(part: &Subset, rows: usize) -> f64 {
    const BATCHES: usize = 50;
    let mut batch = Batch::default();
    let started = Instant::now();
    for index in 0..BATCHES {
        let start = index * rows % (part.len() - rows + 1);
        fill_batch(part, (start..start + rows).into_par_iter(), Some((Seed(0), 1)), &mut batch);
    }
    (BATCHES * rows) as f64 / started.elapsed().as_secs_f64()
}

/// Peak memory of the process so far, in bytes, as reported by Linux.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
