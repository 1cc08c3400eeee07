//! `runner EXPERIMENT.toml`.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use walk_arch::Network;
#[cfg(feature = "cuda")]
use walk_core::Cuda;
use walk_core::{Backend, Composite, Cpu, Fused, Model, Point, Seed};
use walk_data::Split;
use walk_record::{
    CheckpointTensor, DataInfo, MachineInfo, NetworkInfo, PluginRecord, RunFolder, RunInfo, Status,
};
use walk_report::{Summary, alignment_table, barrier_table, segment_table, walk_table};
use walk_train::{TrainConfig, train};

use crate::cli::RunArguments;
use crate::experiment::{DeviceName, Experiment};
use crate::failure::Failure;
use crate::prepare::{Prepared, on_threads, prepare};
use crate::progress::Recorder;
use crate::source::Source;

/// Runs an experiment and prints its tables.
pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let path = arguments.experiment.as_deref().context("no experiment was named")?;
    let source = Source::read(path)?;
    on_threads(arguments.threads, || run_here(&source, arguments))
}

fn run_here(source: &Source, arguments: &RunArguments) -> Result<(), Failure> {
    let prepared = prepare(source)?;
    match prepared.experiment.device {
        DeviceName::Cpu => {
            let backend = Fused::new(prepared.experiment.numerics.convolution);
            run_on(backend, prepared, arguments)
        }
        DeviceName::CpuComposite => run_on(Composite::<Cpu>::default(), prepared, arguments),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => run_on(Composite::<Cuda>::default(), prepared, arguments),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda => {
            let error = "`device` = \"cuda\", but this program was built without it; use \
                         `cargo run -p runner --features cuda -- ...` where CUDA is installed";
            Err(source.error_at("device", error).into())
        }
    }
}

fn run_on<B: Backend>(backend: B, prepared: Prepared, arguments: &RunArguments) -> Result<(), Failure> {
    let Prepared { experiment, network, split, plugin, .. } = prepared;
    let folder = make_folder(arguments.out.as_deref(), experiment.name())?;
    let config = toml::to_string(&experiment).context("the experiment cannot be written")?;
    folder.write_config(&config).map_err(anyhow::Error::from)?;
    let mut info = describe::<B>(&experiment, &network, &split, plugin);
    folder.write_info(&info).map_err(anyhow::Error::from)?;

    let model = Model::new(backend, network, experiment.loss.into());
    let train_config = TrainConfig {
        epochs: experiment.epochs,
        seed: Seed(experiment.seed),
        optim: experiment.optim.clone(),
        record_order: experiment.record.order,
    };
    let optim = &train_config.optim;
    let mut probes = experiment.probe.probes(walk_train::Context {
        model: &model,
        train: &split.train,
        optim,
        seed: train_config.seed,
    });
    let metrics = folder.metrics().map_err(anyhow::Error::from)?;
    let mut recorder = Recorder::new(metrics, &train_config, &probes, split.train.len(), arguments.quiet);
    let started = Instant::now();
    let outcome = train(&model, &split, &train_config, &mut probes, &mut recorder);
    recorder.finish();

    info.elapsed_s = Some(started.elapsed().as_secs_f64());
    match &outcome {
        Ok(outcome) => {
            info.status = Status::Finished;
            info.probes_s = Some(outcome.probes.as_secs_f64());
        }
        Err(error) => {
            info.status = Status::Failed;
            info.message = Some(error.to_string());
        }
    }
    if let Ok(outcome) = &outcome {
        let written = folder.write_checkpoint("final", &tensors(model.network(), &outcome.point));
        written.map_err(|error| Failure::Run(error.into()))?;
    }
    folder.write_info(&info).map_err(|error| Failure::Run(error.into()))?;
    print_tables(&folder, &info).map_err(Failure::Run)?;
    match outcome {
        Ok(outcome) => {
            print_times(&folder, started.elapsed(), outcome.probes);
            Ok(())
        }
        Err(error) => Err(Failure::Run(anyhow!("{error}; the run folder is {}", folder.path().display()))),
    }
}

/// Parameters and buffers under their names.
fn tensors<'a>(network: &'a Network, point: &'a Point) -> Vec<CheckpointTensor<'a>> {
    let params = network.params().iter().map(|spec| {
        let (name, shape) = (spec.name.as_str(), spec.shape.clone());
        CheckpointTensor { name, shape, values: &point.params[spec.range.clone()] }
    });
    let buffers = network.buffers().iter().map(|spec| {
        let (name, shape) = (spec.name.as_str(), vec![spec.range.len()]);
        CheckpointTensor { name, shape, values: &point.buffers[spec.range.clone()] }
    });
    params.chain(buffers).collect()
}

/// The folder named, which must not exist, or the first free one under `runs`.
fn make_folder(out: Option<&Path>, name: &str) -> Result<RunFolder> {
    if let Some(path) = out {
        return Ok(RunFolder::create(path)?);
    }
    let numbered =
        |n: u32| PathBuf::from("runs").join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
    let mut tries = (1..).map(numbered).map(|path| RunFolder::create(&path));
    loop {
        match tries.next().context("no free run folder")? {
            Err(walk_record::RecordError::Exists { .. }) => {}
            result => return Ok(result?),
        }
    }
}

fn describe<B: Backend>(
    experiment: &Experiment,
    network: &Network,
    split: &Split,
    plugin: PluginRecord,
) -> RunInfo {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    RunInfo {
        format: 1,
        name: experiment.name().to_owned(),
        status: Status::Running,
        message: None,
        version: env!("CARGO_PKG_VERSION").into(),
        seed: experiment.seed,
        device: B::NAME.into(),
        threads: rayon::current_num_threads(),
        started_unix_s: started.as_secs(),
        elapsed_s: None,
        probes_s: None,
        plugin,
        network: NetworkInfo {
            n_params: network.n_params(),
            multiply_adds: network.multiply_adds(),
            input: network.problem().input.clone(),
            classes: network.problem().classes,
        },
        data: DataInfo {
            set: experiment.data.set.name().into(),
            sha256: split.images.sha256(),
            train: split.train.len(),
            valid: split.valid.len(),
        },
        machine: MachineInfo::here(),
    }
}

/// The tables, from the records as they are on disk.
fn print_tables(folder: &RunFolder, info: &RunInfo) -> Result<()> {
    let rows = folder.read_rows()?;
    let last = rows.iter().rev().find_map(|row| match row {
        walk_record::Row::Epoch(row) => Some(row),
        _ => None,
    });
    println!(
        "{}: {} with {} parameters on {}, {} training samples",
        info.name, info.plugin.name, info.network.n_params, info.data.set, info.data.train
    );
    if let Some(row) = last {
        println!(
            "after epoch {}: training loss {:.4}, validation loss {:.4}, validation accuracy {:.2}%",
            row.epoch,
            row.train_loss,
            row.valid_loss,
            100.0 * row.valid_accuracy
        );
    }
    let summaries = [Summary::new(info.plugin.name.clone(), &rows)];
    let tables = [
        barrier_table(&summaries),
        segment_table(&summaries),
        walk_table(&summaries),
        alignment_table(&summaries),
    ];
    for table in tables.into_iter().flatten() {
        println!("\n{table}");
    }
    Ok(())
}

fn print_times(folder: &RunFolder, all: Duration, probes: Duration) {
    println!(
        "\n{:.1} s, {:.1} s of it in probes; everything is in {}",
        all.as_secs_f64(),
        probes.as_secs_f64(),
        folder.path().display()
    );
}
