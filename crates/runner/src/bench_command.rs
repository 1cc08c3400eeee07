//! `sgdwalk bench EXPERIMENT.toml`.
#![expect(clippy::print_stdout, reason = "a command's output")]

use anyhow::{Context, anyhow};
use serde::Serialize;
use walk_core::{Fused, Model, gemm_gflops};
use walk_train::{ThroughputConfig, throughput};

use crate::cli::BenchArguments;
use crate::experiment::DeviceName;
use crate::experiment_source::ExperimentSource;
use crate::failure::Failure;
use crate::prepare::{Prepared, on_threads, prepare};
use crate::report_command::OutputFormat;

/// The result: the keys of scripts/torch_walk.py, and what only we measure.
#[derive(Debug, Serialize)]
struct BenchResult {
    arch: String,
    threads: usize,
    images: usize,
    eval_images_per_s: f64,
    train_images_per_s: f64,
    hvp_images_per_s: f64,
    segment_s: f64,
    /// Reading the data set.
    load_s: f64,
    prepare_images_per_s: f64,
    /// Of the evaluation, counting a convolution's products as its definition has them.
    eval_gflops: f64,
    /// What a large matrix product reaches on the same threads.
    gemm_gflops: f64,
    eval_peak_memory_mb: Option<f64>,
    peak_memory_mb: Option<f64>,
}

/// Times an experiment's network on its data.
pub(crate) fn bench(arguments: &BenchArguments) -> Result<(), Failure> {
    let experiment = &arguments.experiment;
    let source = ExperimentSource::read(&experiment.path, experiment.selection(), &experiment.set.values)?;
    on_threads(arguments.threads.threads, || bench_here(&source, arguments))
}

fn bench_here(source: &ExperimentSource, arguments: &BenchArguments) -> Result<(), Failure> {
    let Prepared { experiment, network, split, plugin, load_time, .. } = prepare(source)?;
    if experiment.device != DeviceName::Cpu {
        return Err(source.error_at("device", "only `device` = \"cpu\" is timed").into());
    }
    let multiply_adds = network.multiply_adds();
    let model = Model::new(Fused::new(experiment.numerics.convolution), network, experiment.loss.into());
    let config =
        ThroughputConfig { samples: arguments.eval, chunk: 100, points: 10, repeat: arguments.repeat.into() };
    let measured = throughput(&model, &split.train, &experiment.optim, &config)
        .map_err(|error| Failure::Run(anyhow!(error)))?;
    let result = BenchResult {
        arch: plugin.name,
        threads: rayon::current_num_threads(),
        images: measured.samples,
        eval_images_per_s: measured.eval_images_per_s.round(),
        train_images_per_s: measured.train_images_per_s.round(),
        hvp_images_per_s: measured.hvp_images_per_s.round(),
        segment_s: (measured.segment_s * 1e4).round() / 1e4,
        load_s: (load_time.as_secs_f64() * 1e3).round() / 1e3,
        prepare_images_per_s: measured.prepare_images_per_s.round(),
        eval_gflops: (2e-9 * multiply_adds as f64 * measured.eval_images_per_s).round(),
        gemm_gflops: gemm_gflops().round(),
        eval_peak_memory_mb: measured.eval_peak_memory.map(megabytes),
        peak_memory_mb: measured.peak_memory.map(megabytes),
    };
    if arguments.json.format() == OutputFormat::Json {
        println!("{}", serde_json::to_string(&result).context("the result cannot be written")?);
        return Ok(());
    }
    println!("{} on {} threads, medians of {}:", result.arch, result.threads, config.repeat);
    println!(
        "  evaluation  {:>9} images/s ({} images, chunks of 100)",
        result.eval_images_per_s, result.images
    );
    println!(
        "  training    {:>9} images/s (batches of {})",
        result.train_images_per_s, experiment.optim.batch_size
    );
    println!("  Hv          {:>9} images/s (exact, batches of 100)", result.hvp_images_per_s);
    println!("  one step    {:>9} s for {} losses", result.segment_s, config.points);
    println!(
        "  data        {:>9} s to load; batches are made at {} images/s, {:.1}% of a training epoch",
        result.load_s,
        result.prepare_images_per_s,
        100.0 * result.train_images_per_s / result.prepare_images_per_s
    );
    let share = result.eval_gflops / result.gemm_gflops;
    println!(
        "  evaluation  {:>9} GFLOP/s by the layers' definitions, {share:.2} of the {} that a matrix product reaches",
        result.eval_gflops, result.gemm_gflops
    );
    if let (Some(eval), Some(all)) = (result.eval_peak_memory_mb, result.peak_memory_mb) {
        println!("  memory      {eval:>9} MB at most until the first evaluation ended, {all} MB in all");
    }
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1e6).round()
}
