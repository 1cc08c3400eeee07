//! `runner EXPERIMENT.toml`.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use walk_arch::Network;
#[cfg(feature = "cuda")]
use walk_core::Cuda;
use walk_core::{Backend, Composite, Cpu, Fused, Model, Seed};
use walk_data::Split;
use walk_record::{DataInfo, MachineInfo, NetworkInfo, PluginRecord, ProbeInfo, RunFolder, RunInfo, Status};
use walk_train::{TrainConfig, TrainState, point_tensors, train};

use crate::cli::RunArguments;
use crate::experiment::{DeviceName, Experiment};
use crate::failure::Failure;
use crate::prepare::{Prepared, on_threads, prepare};
use crate::progress::Recorder;
use crate::report_command::print_run;
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
            run_on(backend, source, prepared, arguments)
        }
        DeviceName::CpuComposite => run_on(Composite::<Cpu>::default(), source, prepared, arguments),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => run_on(Composite::<Cuda>::default(), source, prepared, arguments),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda => {
            let error = "`device` = \"cuda\", but this program was built without it; use \
                         `cargo run -p runner --features cuda -- ...` where CUDA is installed";
            Err(source.error_at("device", error).into())
        }
    }
}

fn run_on<B: Backend>(
    backend: B,
    source: &Source,
    prepared: Prepared,
    arguments: &RunArguments,
) -> Result<(), Failure> {
    let Prepared { experiment, network, split, plugin, .. } = prepared;
    let mut info = describe::<B>(&experiment, &network, &split, plugin);
    let model = Model::new(backend, network, experiment.loss.into());
    let train_config = TrainConfig {
        epochs: experiment.epochs,
        seed: Seed(experiment.seed),
        optim: experiment.optim.clone(),
        record_order: experiment.record.order,
    };
    let (optim, seed) = (&train_config.optim, train_config.seed);
    let context = walk_train::Context { model: &model, train: &split.train, optim, seed };
    let mut probes = experiment.probe.probes(context).map_err(|error| source.train_error(error))?;

    let folder = make_folder(arguments.out.as_deref(), experiment.name())?;
    let config = toml::to_string(&experiment).context("the experiment cannot be written")?;
    folder.write_config(&config).map_err(anyhow::Error::from)?;
    folder.write_info(&info).map_err(anyhow::Error::from)?;
    let metrics = folder.metrics().map_err(anyhow::Error::from)?;
    let mut recorder = Recorder::new(metrics, &train_config, &probes, split.train.len(), arguments.quiet);
    let started = Instant::now();
    let start = TrainState::new(model.initial(seed));
    let outcome = train(&model, &split, &train_config, start, &mut probes, &mut recorder);
    recorder.finish();

    info.elapsed_s = Some(started.elapsed().as_secs_f64());
    info.probes = probes
        .iter()
        .map(|probe| ProbeInfo {
            name: probe.name.into(),
            measurements: probe.measurements,
            elapsed_s: probe.elapsed.as_secs_f64(),
        })
        .collect();
    match &outcome {
        Ok(_) => info.status = Status::Finished,
        Err(error) => {
            info.status = Status::Failed;
            info.message = Some(error.to_string());
        }
    }
    if let Ok(state) = &outcome {
        let written = folder.write_checkpoint("final", &point_tensors(model.network(), &state.point));
        written.map_err(|error| Failure::Run(error.into()))?;
    }
    folder.write_info(&info).map_err(|error| Failure::Run(error.into()))?;
    print_run(&folder).map_err(Failure::Run)?;
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Run(anyhow!("{error}; the run folder is {}", folder.path().display()))),
    }
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
        probes: vec![],
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
