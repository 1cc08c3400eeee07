//! `runner EXPERIMENT.toml`, `--resume` and `--fork`.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use walk_arch::Network;
#[cfg(feature = "cuda")]
use walk_core::Cuda;
use walk_core::{Backend, Composite, Cpu, Fused, Model, Seed};
use walk_record::{
    DataInfo, FolderLock, MachineInfo, NetworkInfo, ProbeInfo, RunFolder, RunInfo, Status, checkpoint_bytes,
};
use walk_train::{
    ActiveProbe, TrainConfig, TrainState, point_tensors, read_point, state_from_bytes, state_tensors, train,
};

use crate::experiment::{DeviceName, Experiment};
use crate::failure::Failure;
use crate::interrupt;
use crate::job::Job;
use crate::prepare::{Prepared, on_threads, prepare};
use crate::progress::Progress;
use crate::recorder::{Follower, Recorder};
use crate::report_command::{Output, print_run};
use crate::resume::{Forked, Origin, Resumed};
use crate::source::Source;

/// A run to be made.
pub(crate) struct RunRequest {
    pub(crate) source: Source,
    /// What it goes on from.
    pub(crate) origin: Origin,
    pub(crate) out: Option<PathBuf>,
    pub(crate) threads: Option<u16>,
    pub(crate) quiet: bool,
    pub(crate) output: Output,
}

/// Runs an experiment and prints its tables.
pub(crate) fn run(request: &RunRequest, job: &Job) -> Result<(), Failure> {
    interrupt::listen(job.leads())?;
    on_threads(request.threads, || {
        let prepared = job.agree(prepare(&request.source))?;
        match prepared.experiment.device {
            DeviceName::Cpu => {
                run_on(Fused::new(prepared.experiment.numerics.convolution), prepared, request, job)
            }
            DeviceName::CpuComposite => run_on(Composite::<Cpu>::default(), prepared, request, job),
            #[cfg(feature = "cuda")]
            DeviceName::Cuda => run_on(Composite::<Cuda>::default(), prepared, request, job),
            #[cfg(not(feature = "cuda"))]
            DeviceName::Cuda => {
                let error = "`device` = \"cuda\", but this program was built without it; use \
                             `cargo run -p runner --features cuda -- ...` where CUDA is installed";
                job.agree(Err(request.source.error_at("device", error)))
            }
        }
    })
}

/// Where a run begins and what it writes to.
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
    job: &Job,
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
    let (optim, seed, ranks) = (&train_config.optim, train_config.seed, &job.ranks);
    let context = walk_train::Context { model: &model, train: &split.train, optim, seed, ranks };
    let probes = experiment.probe.probes(context).map_err(|error| request.source.train_error(error));
    let mut probes = job.agree(probes)?;
    if !job.leads() {
        // the others go on from what the first has, and write nothing
        let bytes = ranks.broadcast_bytes(vec![]);
        let start = state_from_bytes(&bytes, model.network()).map_err(|error| Failure::Run(error.into()))?;
        let mut sink = Follower { ranks };
        let ended = train(&model, &split, &train_config, start.state, &mut probes, (&mut sink, ranks));
        let state = ended.map_err(|error| Failure::Run(error.into()))?;
        return if is_at_end(&state, &experiment) { Ok(()) } else { Err(Failure::Silent) };
    }
    let Start { folder, mut info, state, metrics_len, _lock } = begin(request, &experiment, &model, info)?;
    if ranks.size() > 1 {
        let tensors = state_tensors(model.network(), &state, metrics_len);
        ranks.broadcast_bytes(checkpoint_bytes(&tensors).map_err(anyhow::Error::from)?);
    }
    let progress = Progress::new(&train_config, &probes, split.train.len(), state.step.0, request.quiet);
    let recorder = Recorder::new((&folder, metrics_len), model.network(), &experiment, progress, ranks);
    let mut recorder = recorder.map_err(anyhow::Error::from)?;
    let started = Instant::now();
    let outcome = train(&model, &split, &train_config, state, &mut probes, (&mut recorder, ranks));

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
            // what ended the run says more than tables that could not be read, or a description not written
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
        "stopped after update {} of {all}; go on with --resume {}",
        state.step.0,
        folder.path().display()
    )))
}

/// Whether the experiment's last epoch is done. A fork's steps need not be those of its own epochs, so its epoch tells.
fn is_at_end(state: &TrainState, experiment: &Experiment) -> bool {
    state.epoch_done && state.epoch >= experiment.epochs
}

/// Makes the run's folder, or takes the one it goes on in.
fn begin<B: Backend>(
    request: &RunRequest,
    experiment: &Experiment,
    model: &Model<B>,
    info: RunInfo,
) -> Result<Start> {
    let new_folder = |info: &RunInfo| {
        let config = toml::to_string(experiment).context("the experiment cannot be written")?;
        make_folder(request.out.as_deref(), experiment.name(), &config, info)
    };
    match &request.origin {
        Origin::New => {
            let mut point = model.initial(Seed(experiment.seed));
            if let Some(from) = &experiment.init.from {
                let read = read_point(from, model.network(), "init.from");
                point = read.map_err(|error| request.source.train_error(error))?;
            }
            let (folder, lock) = new_folder(&info)?;
            Ok(Start { folder, _lock: lock, info, state: TrainState::new(point), metrics_len: 0 })
        }
        Origin::Resume(path) => {
            let Resumed { folder, lock, info, state, metrics_len } =
                Resumed::open(path, model.network(), &info, || model.initial(Seed(experiment.seed)))?;
            // a run that began at a file goes on from it where no checkpoint is
            let state = match (&experiment.init.from, state.epoch) {
                (Some(from), 0) => TrainState::new(read_point(from, model.network(), "init.from")?),
                _ => state,
            };
            Ok(Start { folder, _lock: lock, info, state, metrics_len })
        }
        Origin::Fork { run, step, changes } => {
            let Forked { state, fork } =
                Forked::open(run, *step, changes, model.network(), (&info, experiment))?;
            let info = RunInfo { fork: Some(fork), ..info };
            let (folder, lock) = new_folder(&info)?;
            Ok(Start { folder, _lock: lock, info, state, metrics_len: 0 })
        }
    }
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

/// The folder named, which must not exist, or the first free one under `runs`.
fn make_folder(
    out: Option<&Path>,
    name: &str,
    config: &str,
    info: &RunInfo,
) -> Result<(RunFolder, FolderLock)> {
    if let Some(path) = out {
        return Ok(RunFolder::create(path, config, info)?);
    }
    let numbered =
        |n: u32| PathBuf::from("runs").join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
    let mut tries = (1..).map(numbered).map(|path| RunFolder::create(&path, config, info));
    loop {
        match tries.next().context("no free run folder")? {
            Err(walk_record::RecordError::Exists { .. }) => {}
            result => return Ok(result?),
        }
    }
}

fn describe<B: Backend>(prepared: &Prepared) -> RunInfo {
    let Prepared { experiment, network, network_sha256, split, plugin, .. } = prepared;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    RunInfo {
        format: 2,
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
