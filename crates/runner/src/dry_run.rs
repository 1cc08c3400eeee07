//! `--print-config` and `--dry-run`: what would be run, and what it would take.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use walk_core::{Backend, Composite, Cpu, Fused, Model, Seed};
use walk_train::{Ranks, Solo, ThroughputConfig, TrainState, Work, state_tensors, throughput};

use crate::cli::RunArguments;
use crate::experiment::{DeviceName, Experiment};
use crate::failure::Failure;
use crate::prepare::{Prepared, on_threads, prepare};
use crate::progress::positions;
use crate::source::{Selection, Source};

/// Samples of the short measurement.
const SAMPLES: usize = 400;
/// Bytes of a train row and of an interpolation row with 11 points, about.
const ROW_BYTES: [usize; 2] = [150, 900];

/// Prints the configuration, or what running it would take.
pub(crate) fn look(path: &Path, arguments: &RunArguments) -> Result<(), Failure> {
    let members = Source::members(path, arguments.member.as_deref())?;
    members.iter().enumerate().try_for_each(|(index, member)| {
        if let (Some(member), None) = (member, &arguments.member) {
            println!("{}# {member}", if index > 0 { "\n" } else { "" });
        }
        look_at(path, Selection { member: member.as_deref(), ..arguments.selection() }, arguments)
    })
}

fn look_at(path: &Path, selection: Selection<'_>, arguments: &RunArguments) -> Result<(), Failure> {
    let source = Source::read(path, selection, &arguments.sets)?;
    if arguments.print_config {
        let experiment = Experiment::parse(&source)?;
        let text = toml::to_string(&experiment).context("the experiment cannot be written")?;
        print!("{text}");
        return Ok(());
    }
    on_threads(arguments.threads, || {
        let prepared = prepare(&source)?;
        match prepared.experiment.device {
            DeviceName::Cpu => {
                estimate(Fused::new(prepared.experiment.numerics.convolution), prepared, &source)
            }
            DeviceName::CpuComposite => estimate(Composite::<Cpu>::default(), prepared, &source),
            DeviceName::Cuda => {
                Err(source.error_at("device", "a dry run measures the processor alone").into())
            }
        }
    })
}

fn estimate<B: Backend>(backend: B, prepared: Prepared, source: &Source) -> Result<(), Failure> {
    let Prepared { experiment, network, split, plugin, .. } = prepared;
    let (n_params, multiply_adds) = (network.n_params(), network.multiply_adds());
    let model = Model::new(backend, network, experiment.loss.into());
    let (optim, n) = (&experiment.optim, split.train.len());
    let ranks: Arc<dyn Ranks> = Arc::new(Solo);
    let seed = Seed(experiment.seed);
    let context = walk_train::Context { model: &model, train: &split.train, optim, seed, ranks: &ranks };
    let probes = experiment.probe.probes(context).map_err(|error| source.train_error(error))?;
    let updates = optim.updates_per_epoch(n);
    let mut work = Work { differentiated: experiment.epochs as usize * n, ..Work::default() };
    let mut lines = vec![];
    for probe in &probes {
        let times = positions(experiment.epochs, updates as u32).filter(|&at| probe.is_due(at)).count();
        let all = probe.work().times(times);
        work = work.plus(all);
        lines.push((probe.name, times, all));
    }
    let config = ThroughputConfig { samples: SAMPLES, chunk: 100, points: 1, repeat: 1 };
    let rates =
        throughput(&model, &split.train, optim, &config).map_err(|error| Failure::Run(anyhow!(error)))?;
    let seconds = |work: Work| {
        work.evaluated as f64 / rates.eval_images_per_s
            + work.differentiated as f64 / rates.train_images_per_s
            + work.multiplied as f64 / rates.hvp_images_per_s
    };
    println!(
        "{}: {} with {n_params} parameters, {:.1} million multiply-adds per image",
        experiment.name(),
        plugin.name,
        multiply_adds as f64 / 1e6
    );
    println!(
        "{} epochs of {updates} updates on {n} samples: {}",
        experiment.epochs,
        time(seconds(Work { differentiated: experiment.epochs as usize * n, ..Work::default() }))
    );
    for (name, times, work) in lines {
        let what = [
            (work.evaluated, "losses"),
            (work.differentiated, "gradients"),
            (work.multiplied, "Hessian products"),
        ];
        let what = what.into_iter().filter(|(count, _)| *count > 0);
        let what: Vec<String> = what.map(|(count, what)| format!("{count} samples' {what}")).collect();
        let what = if what.is_empty() { "nothing evaluated".into() } else { what.join(", ") };
        println!("{name}: {times} times, {what}: {}", time(seconds(work)));
    }
    let state = TrainState::new(model.initial(Seed(experiment.seed)));
    let floats: usize = state_tensors(model.network(), &state, 0)
        .iter()
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum();
    // parameters, what momentum and probes remember of them, and the one of the clock
    let copies = 1 + usize::from(optim.momentum > 0.0) + probes.len();
    let kept = experiment.checkpoint.last + experiment.checkpoint.epochs.len() + 2;
    let rows =
        experiment.epochs as usize * updates * ROW_BYTES[0] + work.evaluated / n.max(1) / 10 * ROW_BYTES[1];
    println!("in all about {} on {} threads", time(seconds(work)), rayon::current_num_threads());
    println!(
        "disk: about {:.0} MB of rows, up to {:.0} MB of checkpoints",
        rows as f64 / 1e6,
        (4 * floats * copies * kept) as f64 / 1e6
    );
    Ok(())
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}
