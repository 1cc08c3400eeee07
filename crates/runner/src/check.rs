//! `--print-config` and `sgdwalk check`: what would run, and how long it would take.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use walk_core::{DeviceName, Model, Seed, backend_for};
use walk_record::{MetricsMark, RunFolder, sourced};
use walk_report::{Column, Extent, Role, Table, counted};
use walk_train::probe::ProbeContext;
use walk_train::{
    CheckpointConfig, Ranks, Solo, Span, Throughput, ThroughputConfig, TrainState, Work, read_point,
    state_tensors, throughput,
};

use crate::child::{Child, FolderState, PoolConfig};
use crate::cli::PlanArguments;
use crate::experiment::{Experiment, InitFrom};
use crate::failure::Failure;
use crate::footprint::{self, Footprint};
use crate::output::{self, errln, outln, print_table};
use crate::prepare::{Preparation, Prepared, check_values, on_threads};
use crate::run::run_folder;
use crate::sweep::{Base, Member, Plan};
use crate::timing::duration;

/// Number of samples in the short speed measurement.
const SAMPLES: usize = 400;
/// Approximate bytes of a train row.
const TRAIN_ROW_BYTES: usize = 150;
/// Approximate bytes of an interpolation row with 11 points.
const INTERPOLATION_ROW_BYTES: usize = 900;

/// Checks the requested runs and prints their estimated cost, or prints their experiments if `--print-config` is given.
pub(crate) fn check(arguments: &PlanArguments, threads: Option<u16>) -> Result<(), Failure> {
    let plan = Plan::read(&Base::file(&arguments.experiment)?, &arguments.sweep)?;
    if arguments.print_config {
        return Ok(print_config(&plan)?);
    }
    let jobs = if plan.is_sweep { arguments.sweep.jobs } else { 1 };
    let pool = PoolConfig { jobs, threads, quiet: true };
    let estimates = on_threads(Some(pool.threads_per_run()), || estimate_all(&plan.members))?;
    if plan.is_sweep {
        return Ok(print_sweep(&plan, &estimates, pool)?);
    }
    let experiment = &plan.members[0].experiment;
    print_run(experiment, &estimates[0], pool);
    let path = run_folder(arguments.sweep.out.as_deref(), experiment.name())?;
    RunFolder::check_free(&path)?;
    outln!("folder: {}, which does not exist yet", path.display());
    Ok(())
}

/// Prints the resolved experiment of each requested run.
fn print_config(plan: &Plan) -> Result<()> {
    for (index, member) in plan.members.iter().enumerate() {
        if plan.is_sweep {
            outln!("{}# {}", if index > 0 { "\n" } else { "" }, member.name);
        }
        output::print(member.experiment.to_toml()?);
    }
    Ok(())
}

/// The estimated cost of a run.
#[derive(Debug)]
struct Estimate {
    plugin: String,
    n_params: usize,
    multiply_adds: usize,
    samples: usize,
    updates_per_epoch: usize,
    training_s: f64,
    probes: Vec<ProbeEstimate>,
    /// Peak memory, if known.
    memory_bytes: Option<usize>,
    row_bytes: usize,
    checkpoint_bytes: usize,
}

/// The estimated cost of a probe.
#[derive(Debug)]
struct ProbeEstimate {
    name: &'static str,
    measurements: usize,
    work: Work,
    seconds: f64,
}

impl Estimate {
    fn seconds(&self) -> f64 {
        self.training_s + self.probes.iter().map(|probe| probe.seconds).sum::<f64>()
    }
}

/// Estimates every member; speed is measured once for all members that take the same time per update.
fn estimate_all(members: &[Member]) -> Result<Vec<Estimate>, Failure> {
    let mut estimates: Vec<Option<Estimate>> = members.iter().map(|_| None).collect();
    let mut preparation = Preparation::default();
    while let Some(first) = estimates.iter().position(Option::is_none) {
        let is_alike = |&other: &usize| members[other].experiment.is_as_fast_as(&members[first].experiment);
        let alike: Vec<usize> = (first..members.len()).filter(is_alike).collect();
        let group: Vec<&Member> = alike.iter().map(|&index| &members[index]).collect();
        let prepared = preparation.prepare(&members[first].source)?;
        prepared.warn();
        for (index, estimate) in alike.into_iter().zip(estimate_group(prepared, &group)?) {
            estimates[index] = Some(estimate);
        }
    }
    Ok(estimates.into_iter().flatten().collect())
}

/// Estimates members that have the same network and data.
fn estimate_group(prepared: Prepared, members: &[&Member]) -> Result<Vec<Estimate>, Failure> {
    let source = &members[0].source;
    let Experiment { device, numerics, .. } = &prepared.experiment;
    let backend = match device {
        DeviceName::Cuda => None,
        &device => backend_for(device, numerics.convolution).ok(),
    };
    let Some(backend) = backend else {
        return Err(source.error_at("device", "`sgdwalk check` can only measure the CPU").into());
    };
    let Prepared { experiment: first, network, split, plugin, option_files, .. } = prepared;
    let file = option_files.first().map(|(_, file)| file.as_path()).filter(|_| plugin.name == "onnx");
    let plugin = sourced(&plugin.name, file.and_then(Path::file_stem));
    let (n_params, multiply_adds) = (network.n_params(), network.multiply_adds());
    let model = Model::new(backend, network, first.loss());
    let config =
        ThroughputConfig { samples: Some(SAMPLES), chunk: 100, points: 1, most_in_batch: SAMPLES, repeat: 1 };
    let speed = throughput(&model, &split.train, &first.optim, &config).map_err(Failure::run)?;
    let ranks: Arc<dyn Ranks> = Arc::new(Solo);
    let samples = split.train.len();
    let estimate = |member: &&Member| {
        let Member { source, experiment, .. } = member;
        check_values(source, experiment, samples)?;
        if let Some(InitFrom::File(from)) = &experiment.init.from {
            read_point(from, model.network(), "init.from").map_err(|error| source.train_error(error))?;
        }
        let (optim, seed) = (&experiment.optim, Seed(experiment.seed));
        let context = ProbeContext { model: &model, train: &split.train, optim, seed, ranks: &ranks };
        let probes = experiment.probe.probes(context).map_err(|error| source.train_error(error))?;
        let updates_per_epoch = optim.updates_per_epoch(samples);
        let span = Span { epochs: experiment.epochs, updates: updates_per_epoch as u32 };
        let remembered: usize = probes.iter().map(|probe| probe.remembered(span)).sum();
        let held = probes.iter().map(|probe| probe.held(span)).max().unwrap_or(0);
        let probes = probes.iter().map(|probe| {
            let measurements = probe.count(span) as usize;
            let between = probe.work_between(walk_core::Step(span.total()));
            let work = probe.work().times(measurements).plus(between);
            ProbeEstimate { name: probe.name, measurements, work, seconds: seconds(work, &speed) }
        });
        let probes: Vec<ProbeEstimate> = probes.collect();
        let threads = rayon::current_num_threads();
        let footprint = Footprint { model: &model, images: &split.images, samples, optim, threads };
        let work: Vec<Work> = probes.iter().map(|probe| probe.work).collect();
        let differentiated = experiment.epochs as usize * optim.samples_per_epoch(samples);
        let training = Work { differentiated, ..Work::default() };
        let evaluated: usize = probes.iter().map(|probe| probe.work.evaluated).sum();
        let tensors =
            state_tensors(model.network(), &TrainState::new(model.initial(seed)), &MetricsMark::default());
        let floats: usize = tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
        // beside the current and the initial parameters, what the optimizer and probes remember of earlier ones
        let floats = floats + (optim.remembered() + remembered) * n_params;
        let CheckpointConfig { last, epochs: listed, .. } = &experiment.checkpoint;
        // beside these, the latest one, its next version and the final point
        let checkpoints = (*last).min(experiment.epochs as usize) + listed.len() + 2;
        Ok(Estimate {
            plugin: plugin.clone(),
            n_params,
            multiply_adds,
            samples,
            updates_per_epoch,
            training_s: seconds(training, &speed),
            memory_bytes: footprint.bytes(&work, remembered, held),
            row_bytes: experiment.epochs as usize * updates_per_epoch * TRAIN_ROW_BYTES
                + evaluated / samples.max(1) / 10 * INTERPOLATION_ROW_BYTES,
            checkpoint_bytes: 4 * floats * checkpoints,
            probes,
        })
    };
    members.iter().map(estimate).collect()
}

fn seconds(work: Work, speed: &Throughput) -> f64 {
    work.evaluated as f64 / speed.eval_images_per_s
        + work.differentiated as f64 / speed.train_images_per_s
        + work.multiplied as f64 / speed.hvp_images_per_s
}

fn print_run(experiment: &Experiment, estimate: &Estimate, pool: PoolConfig) {
    let Estimate { plugin, n_params, multiply_adds, samples, updates_per_epoch, .. } = estimate;
    outln!(
        "{}: {plugin} with {n_params} parameters, {:.1} million multiply-adds per image",
        experiment.name(),
        *multiply_adds as f64 / 1e6
    );
    outln!(
        "training: {} of {} on {samples} samples: {}",
        counted(experiment.epochs as usize, "epoch"),
        counted(*updates_per_epoch, "update"),
        duration(estimate.training_s)
    );
    for ProbeEstimate { name, measurements, work, seconds } in &estimate.probes {
        let parts = [
            (work.evaluated, "losses"),
            (work.differentiated, "gradients"),
            (work.multiplied, "Hessian-vector products"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what} of samples")).collect();
        let work = if parts.is_empty() { "no evaluations".into() } else { parts.join(", ") };
        outln!("{name}: {}, {work}: {}", counted(*measurements, "measurement"), duration(*seconds));
    }
    outln!("total: about {} (threads: {})", duration(estimate.seconds()), pool.threads_per_run());
    if let Some(bytes) = estimate.memory_bytes {
        outln!("memory: about {}", size(bytes));
    }
    warn_of_memory(&[estimate], 1);
    print_disk(&[estimate]);
}

/// Warns if the `jobs` runs that need the most memory exceed the machine's memory together.
fn warn_of_memory(estimates: &[&Estimate], jobs: u16) {
    let mut needed: Vec<usize> = estimates.iter().filter_map(|estimate| estimate.memory_bytes).collect();
    needed.sort_unstable_by(|one, other| other.cmp(one));
    let at_once = needed.len().min(jobs.into());
    let bytes: usize = needed[..at_once].iter().sum();
    if let Some(there) = footprint::machine().filter(|&there| bytes > there) {
        errln!(
            "warning: {} at a time need about {} of memory, but this machine has {}; use smaller batches or chunks, or fewer \
             jobs",
            counted(at_once, "run"),
            size(bytes),
            size(there)
        );
    }
}

fn print_sweep(plan: &Plan, estimates: &[Estimate], pool: PoolConfig) -> Result<()> {
    let children = plan.children()?;
    let states: Vec<FolderState> = children.iter().map(Child::folder_state).collect::<Result<_>>()?;
    let rows = plan.members.iter().zip(estimates).zip(&states).map(|((member, estimate), state)| {
        let state = match state {
            FolderState::New => "new",
            FolderState::Unfinished => "unfinished, will be resumed",
            FolderState::Finished => "finished, will be kept",
            FolderState::Foreign => "another experiment",
        };
        vec![
            member.name.as_str().into(),
            estimate.n_params.into(),
            (member.experiment.epochs as usize * estimate.updates_per_epoch).into(),
            duration(estimate.seconds()).into(),
            estimate.memory_bytes.map(size).into(),
            size(estimate.row_bytes).into(),
            size(estimate.checkpoint_bytes).into(),
            state.into(),
        ]
    });
    let names = ["parameters", "updates", "time", "memory", "rows", "checkpoints"];
    let numbers = names.map(|name| Column::new(name, name, Role::Main));
    let columns = std::iter::once(Column::new("run", "run", Role::Name));
    let columns = columns.chain(numbers).chain([Column::new("folder", "folder", Role::Words)]);
    print_table(&Table::new("runs", "Runs", columns, rows), Extent::All);
    let missing = estimates.iter().zip(&states).filter(|(_, state)| **state != FolderState::Finished);
    let missing: Vec<&Estimate> = missing.map(|(estimate, _)| estimate).collect();
    outln!(
        "total: about {} for {} of {} ({} at a time, threads per run: {})",
        duration(makespan(missing.iter().map(|estimate| estimate.seconds()), pool.jobs)),
        missing.len(),
        counted(children.len(), "run"),
        pool.jobs,
        pool.threads_per_run()
    );
    warn_of_memory(&missing, pool.jobs);
    print_disk(&missing);
    let folder = plan.folder.display();
    let state = if plan.folder.exists() { "exists" } else { "does not exist yet" };
    outln!("folder: {folder}, which {state}");
    plan.check_folder()
}

fn print_disk(estimates: &[&Estimate]) {
    outln!(
        "disk: about {} for rows, up to {} for checkpoints; tables, figures and report.html, a few MB, are not counted",
        size(estimates.iter().map(|estimate| estimate.row_bytes).sum()),
        size(estimates.iter().map(|estimate| estimate.checkpoint_bytes).sum())
    );
}

/// Time until the last run ends if `jobs` runs execute at a time, each started as soon as possible.
fn makespan(seconds: impl Iterator<Item = f64>, jobs: u16) -> f64 {
    let mut ends = vec![0.0_f64; jobs.into()];
    for seconds in seconds {
        ends.sort_by(f64::total_cmp);
        ends[0] += seconds;
    }
    ends.into_iter().fold(0.0, f64::max)
}

fn size(bytes: usize) -> String {
    match bytes as f64 {
        b if b < 1e6 => format!("{:.0} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_share_the_runs() {
        let total = |jobs| duration(makespan([3.0, 1.0, 1.0, 2.0].into_iter(), jobs));
        assert_eq!([1, 2, 3, 9].map(total), ["7.0 s", "4.0 s", "3.0 s", "3.0 s"]);
    }
}
