//! `sgdwalk bench EXPERIMENT.toml`.

use std::rc::Rc;

use anyhow::Context;
use serde::Serialize;
use walk_core::{DeviceName, Fused, LeastProducts, Model, gemm_gflops};
use walk_train::{ThroughputConfig, throughput};

use crate::cli::{BenchArguments, ExperimentArguments};
use crate::experiment_source::ExperimentSource;
use crate::failure::Failure;
use crate::output::outln;
use crate::prepare::{Prepared, on_threads, prepare};

/// The result: the same keys as scripts/torch_walk.py, plus what only sgdwalk measures.
#[derive(Debug, Serialize)]
struct BenchResult {
    arch: String,
    threads: usize,
    images: usize,
    eval_images_per_s: f64,
    train_images_per_s: f64,
    hvp_images_per_s: f64,
    segment_s: f64,
    /// Time to read the data set.
    load_s: f64,
    prepare_images_per_s: f64,
    /// Speed of a large matrix product on the same threads.
    gemm_gflops: f64,
    /// Upper bounds on speed: the minimum number of multiplications, computed at the speed of that matrix product.
    eval_bound_images_per_s: f64,
    train_bound_images_per_s: f64,
    hvp_bound_images_per_s: f64,
    eval_peak_memory_mb: Option<f64>,
    peak_memory_mb: Option<f64>,
}

/// Times an experiment's network on its data.
pub(crate) fn bench(arguments: &BenchArguments) -> Result<(), Failure> {
    let ExperimentArguments { path, settings, .. } = &arguments.experiment;
    let source = ExperimentSource::read(path, arguments.experiment.selection(), settings)?;
    on_threads(arguments.threads, || bench_here(&source, arguments))
}

fn bench_here(source: &ExperimentSource, arguments: &BenchArguments) -> Result<(), Failure> {
    let prepared = prepare(source)?;
    prepared.warn();
    let Prepared { experiment, network, split, plugin, load_time, .. } = prepared;
    if experiment.device != DeviceName::Cpu {
        return Err(source.error_at("device", "only `device` = \"cpu\" can be timed").into());
    }
    let products = LeastProducts::of(&network);
    let model = Model::new(Rc::new(Fused::new(experiment.numerics.convolution)), network, experiment.loss());
    let config = ThroughputConfig {
        samples: arguments.eval,
        chunk: 100,
        points: 10,
        most_in_batch: usize::MAX,
        repeat: arguments.repeat.into(),
    };
    let measured = throughput(&model, &split.train, &experiment.optim, &config).map_err(Failure::run)?;
    let gemm_gflops = gemm_gflops();
    let bound = |multiply_adds: usize| (gemm_gflops * 1e9 / (2 * multiply_adds) as f64).round();
    let megabytes = |bytes: u64| (bytes as f64 / 1e6).round();
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
        gemm_gflops: gemm_gflops.round(),
        eval_bound_images_per_s: bound(products.evaluation),
        train_bound_images_per_s: bound(products.gradient),
        hvp_bound_images_per_s: bound(products.hessian_vector),
        eval_peak_memory_mb: measured.eval_peak_memory.map(megabytes),
        peak_memory_mb: measured.peak_memory.map(megabytes),
    };
    if arguments.json {
        outln!("{}", serde_json::to_string(&result).context("cannot write the result")?);
        return Ok(());
    }
    let BenchResult { arch, threads, images, eval_images_per_s, train_images_per_s, .. } = &result;
    let BenchResult { hvp_images_per_s, segment_s, load_s, prepare_images_per_s, .. } = &result;
    let BenchResult { gemm_gflops, eval_peak_memory_mb, peak_memory_mb, .. } = &result;
    let (batch_size, points) = (experiment.optim.batch_size, config.points);
    let speed = |name: &str, speed: f64, bound: f64, how: &str| {
        let share = speed / bound;
        outln!("  {name:<10}  {speed:>9} images/s, {share:.2} of the bound {bound} ({how})");
    };
    outln!("{arch} on {threads} threads, medians of {}:", config.repeat);
    let how = format!("{images} images, chunks of 100");
    speed("evaluation", *eval_images_per_s, result.eval_bound_images_per_s, &how);
    let how = format!("batches of {batch_size}");
    speed("training", *train_images_per_s, result.train_bound_images_per_s, &how);
    speed("Hv", *hvp_images_per_s, result.hvp_bound_images_per_s, "exact, batches of 100");
    outln!("  one step    {segment_s:>9} s for {points} losses");
    let share = 100.0 * train_images_per_s / prepare_images_per_s;
    outln!(
        "  data        {load_s:>9} s to load; batches are prepared at {prepare_images_per_s} images/s, \
         {share:.1}% of a training epoch"
    );
    outln!(
        "  bounds      {gemm_gflops:>9} GFLOP/s, a matrix product's on these threads, for the fewest products that any algorithm \
         needs (Winograd's F(4x4, 3x3) and F(2x2, 3x3) where they fit)"
    );
    if let (Some(eval), Some(all)) = (eval_peak_memory_mb, peak_memory_mb) {
        outln!(
            "  memory      {eval:>9} MB peak until the end of the first evaluation, {all} MB peak overall"
        );
    }
    Ok(())
}
