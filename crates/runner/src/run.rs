//! One run, from its first update or from a checkpoint to its tables.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use walk_arch::Network;
#[cfg(feature = "cuda")]
use walk_core::Cuda;
use walk_core::{Backend, Composite, Cpu, Fused, Model, Seed};
use walk_record::{
    DataInfo, FORMAT, FolderLock, MachineInfo, NetworkInfo, ProbeInfo, RunFolder, RunInfo, Status,
    checkpoint_bytes,
};
use walk_train::probe::{ActiveProbe, ProbeContext};
use walk_train::{
    TrainConfig, TrainState, point_tensors, read_point, state_from_bytes, state_tensors, train,
};

use crate::experiment::{DeviceName, Experiment};
use crate::experiment_source::{ExperimentSource, Setting};
use crate::failure::Failure;
use crate::fork::ForkPoint;
use crate::interrupt;
use crate::prepare::{Prepared, on_threads, prepare};
use crate::process_group::ProcessGroup;
use crate::progress::Progress;
use crate::recorder::{Follower, RecordedPart, Recorder};
use crate::report_command::{OutputFormat, print_run};
use crate::resume::Resumed;

/// A run to be made.
pub(crate) struct RunRequest {
    pub(crate) source: ExperimentSource,
    pub(crate) origin: Origin,
    pub(crate) out: Option<PathBuf>,
    pub(crate) threads: Option<u16>,
    pub(crate) quiet: bool,
    pub(crate) output: OutputFormat,
}

/// What a run continues.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Nothing: it is new.
    New,
    /// The run in this folder.
    Resume(PathBuf),
    /// A checkpoint of another run, with some values of the experiment changed.
    Fork { point: ForkPoint, changes: Vec<Setting> },
}

/// Runs an experiment and prints its tables.
pub(crate) fn run(request: &RunRequest, group: &ProcessGroup) -> Result<(), Failure> {
    if group.leads() { interrupt::listen() } else { interrupt::ignore() }?;
    on_threads(request.threads, || {
        let prepared = group.agree(prepare(&request.source))?;
        match prepared.experiment.device {
            DeviceName::Cpu => {
                run_on(Fused::new(prepared.experiment.numerics.convolution), prepared, request, group)
            }
            DeviceName::CpuComposite => run_on(Composite::<Cpu>::default(), prepared, request, group),
            #[cfg(feature = "cuda")]
            DeviceName::Cuda => run_on(Composite::<Cuda>::default(), prepared, request, group),
            #[cfg(not(feature = "cuda"))]
            DeviceName::Cuda => {
                let error = "`device` = \"cuda\", but this program was built without it; use \
                             `cargo run -p runner --features cuda -- ...` where CUDA is installed";
                group.agree(Err(request.source.error_at("device", error)))
            }
        }
    })
}

/// The state a run starts from and the folder it writes to.
struct Start {
    folder: RunFolder,
    /// Held until the run ends.
    _lock: FolderLock,
    info: RunInfo,
    state: TrainState,
    /// Bytes of the metrics that belong to the state.
    metrics_len: u64,
}

fn run_on<B: Backend>(
    backend: B,
    prepared: Prepared,
    request: &RunRequest,
    group: &ProcessGroup,
) -> Result<(), Failure> {
    let info = describe::<B>(&prepared);
    let Prepared { experiment, network, split, .. } = prepared;
    let model = Model::new(backend, network, experiment.loss.into());
    let train_config = TrainConfig {
        epochs: experiment.epochs,
        seed: Seed(experiment.seed),
        optim: experiment.optim.clone(),
        record_order: experiment.record.order,
    };
    let (optim, seed, ranks) = (&train_config.optim, train_config.seed, &group.ranks);
    let context = ProbeContext { model: &model, train: &split.train, optim, seed, ranks };
    let probes = experiment.probe.probes(context).map_err(|error| request.source.train_error(error));
    let mut probes = group.agree(probes)?;
    if !group.leads() {
        // the others start from what the first one has, and write nothing
        let bytes = ranks.broadcast_bytes(vec![]);
        let start = state_from_bytes(&bytes, model.network()).map_err(|error| Failure::Run(error.into()))?;
        let mut sink = Follower { ranks };
        let ended = train(&model, &split, &train_config, start.state, &mut probes, &mut sink, ranks);
        let state = ended.map_err(|error| Failure::Run(error.into()))?;
        return if is_at_end(&state, &experiment) { Ok(()) } else { Err(Failure::Silent { exit_code: 3 }) };
    }
    let Start { folder, mut info, state, metrics_len, _lock } = begin(request, &experiment, &model, info)?;
    if ranks.size() > 1 {
        let tensors = state_tensors(model.network(), &state, metrics_len);
        ranks.broadcast_bytes(checkpoint_bytes(&tensors).map_err(anyhow::Error::from)?);
    }
    let progress = Progress::new(&train_config, &probes, split.train.len(), state.step.0, request.quiet);
    let part = RecordedPart { folder: &folder, metrics_len };
    let recorder = Recorder::new(part, model.network(), &experiment, progress, ranks);
    let mut recorder = recorder.map_err(anyhow::Error::from)?;
    let started = Instant::now();
    let outcome = train(&model, &split, &train_config, state, &mut probes, &mut recorder, ranks);

    info.elapsed_s = Some(info.elapsed_s.unwrap_or(0.0) + started.elapsed().as_secs_f64());
    add_times(&mut info, &probes);
    info.message = outcome.as_ref().err().map(ToString::to_string);
    info.status = match &outcome {
        Ok(state) if is_at_end(state, &experiment) => Status::Finished,
        Ok(_) => Status::Stopped,
        Err(_) => Status::Failed,
    };
    let ended = info.status == Status::Finished;
    let state = match outcome {
        Ok(state) => state,
        Err(error) => {
            recorder.finish(false).and_then(|()| folder.write_info(&info)).ok();
            // what ended the run says more than tables that cannot be read or a description that cannot be written
            let _ = print_run(&folder, request.output);
            let place = folder.path().display();
            return Err(Failure::Run(anyhow!("{error}; the run folder is {place}")));
        }
    };
    let write = || {
        if ended {
            folder.write_checkpoint("final", &point_tensors(model.network(), &state.point))?;
        }
        recorder.finish(ended)?;
        folder.write_info(&info)
    };
    write().map_err(|error| Failure::Run(error.into()))?;
    print_run(&folder, request.output).map_err(Failure::Run)?;
    if ended {
        return Ok(());
    }
    let all = u64::from(experiment.epochs) * optim.updates_per_epoch(split.train.len()) as u64;
    Err(Failure::Stopped(format!(
        "stopped after update {} of {all}; resume with `sgdwalk resume {}`",
        state.step.0,
        folder.path().display()
    )))
}

/// Whether the experiment's last epoch is done. A fork's steps need not add up to its own epochs, so the epoch decides.
fn is_at_end(state: &TrainState, experiment: &Experiment) -> bool {
    state.epoch_done && state.epoch >= experiment.epochs
}

/// Makes the run's folder, or takes the one to continue in.
fn begin<B: Backend>(
    request: &RunRequest,
    experiment: &Experiment,
    model: &Model<B>,
    mut info: RunInfo,
) -> Result<Start> {
    let initial = |info: &RunInfo| initial_state(&request.source, experiment, model, info);
    match &request.origin {
        Origin::Resume(path) => {
            let Resumed { folder, lock, info, state, metrics_len } =
                Resumed::open(path, model.network(), &info, initial)?;
            return Ok(Start { folder, _lock: lock, info, state, metrics_len });
        }
        Origin::Fork { point, changes } => info.fork = Some(point.info(changes)),
        Origin::New => {}
    }
    let state = initial(&info)?;
    let config = toml::to_string(experiment).context("the experiment cannot be written")?;
    let (folder, lock) = make_folder(request.out.as_deref(), experiment.name(), &config, &info)?;
    Ok(Start { folder, _lock: lock, info, state, metrics_len: 0 })
}

/// The state before the first update of a run: a checkpoint of its parent, the parameters of a file, or drawn parameters.
fn initial_state<B: Backend>(
    source: &ExperimentSource,
    experiment: &Experiment,
    model: &Model<B>,
    info: &RunInfo,
) -> Result<TrainState> {
    if let Some(fork) = &info.fork {
        return ForkPoint::from(fork).state(model.network(), info, experiment);
    }
    let point = match &experiment.init.from {
        Some(from) => read_point(from, model.network(), "init.from"),
        None => Ok(model.initial(Seed(experiment.seed))),
    };
    Ok(TrainState::new(point.map_err(|error| source.train_error(error))?))
}

/// Adds what the probes took to what they took before.
fn add_times(info: &mut RunInfo, probes: &[ActiveProbe<'_>]) {
    for probe in probes {
        let elapsed_s = probe.elapsed.as_secs_f64();
        match info.probes.iter_mut().find(|known| known.name == probe.name) {
            Some(known) => {
                known.measurements += probe.measurements;
                known.elapsed_s += elapsed_s;
            }
            None => info.probes.push(ProbeInfo {
                name: probe.name.into(),
                measurements: probe.measurements,
                elapsed_s,
            }),
        }
    }
}

/// Creates the folder named, which must not exist, or the first free one under `runs`.
fn make_folder(
    out: Option<&Path>,
    name: &str,
    config: &str,
    info: &RunInfo,
) -> Result<(RunFolder, FolderLock)> {
    loop {
        match RunFolder::create(&run_folder(out, name)?, config, info) {
            // another process was faster
            Err(walk_record::RecordError::Exists { .. }) if out.is_none() => {}
            result => return Ok(result?),
        }
    }
}

/// The folder for a new run: `out` if it is given, else the first free one under `runs`.
pub(crate) fn run_folder(out: Option<&Path>, name: &str) -> Result<PathBuf> {
    if let Some(path) = out {
        return Ok(path.to_path_buf());
    }
    let numbered =
        |n: u32| PathBuf::from("runs").join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
    let free = |path: &PathBuf| path.symlink_metadata().is_err();
    (1..).map(numbered).find(free).context("no free run folder")
}

fn describe<B: Backend>(prepared: &Prepared) -> RunInfo {
    let Prepared { experiment, network, network_sha256, split, plugin, .. } = prepared;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    RunInfo {
        format: FORMAT,
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
        fork: None,
        plugin: plugin.clone(),
        network: network_info(network, network_sha256),
        data: DataInfo {
            set: experiment.data.set.name().into(),
            sha256: split.images.sha256(),
            train: split.train.len(),
            valid: split.valid.len(),
        },
        machine: MachineInfo::here(),
    }
}

fn network_info(network: &Network, sha256: &str) -> NetworkInfo {
    NetworkInfo {
        n_params: network.n_params(),
        sha256: sha256.to_owned(),
        multiply_adds: network.multiply_adds(),
        input: network.problem().input.clone(),
        classes: network.problem().classes,
    }
}
