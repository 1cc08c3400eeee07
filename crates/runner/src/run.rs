//! One run, from its first update or from a checkpoint to its tables.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use walk_core::{Backend, Model, Point, Seed};
use walk_data::{DataConfig, Split};
use walk_record::{
    ClassInfo, DataInfo, FORMAT, FileInfo, ForkInfo, MachineInfo, MetricsMark, NetworkInfo, RecordError,
    RunFolder, RunInfo, Status, checkpoint_bytes,
};
use walk_train::probe::ProbeContext;
use walk_train::{
    TrainConfig, TrainError, TrainState, point_tensors, read_point, state_from_bytes, state_tensors, train,
};

use crate::cli::RunOptions;
use crate::device;
use crate::digest::sha256;
use crate::experiment::{Experiment, InitFrom};
use crate::experiment_source::ExperimentSource;
use crate::failure::Failure;
use crate::fork::fork_state;
use crate::interrupt;
use crate::output::errln;
use crate::prepare::{Prepared, on_threads, prepare};
use crate::process_group::ProcessGroup;
use crate::progress::Progress;
use crate::recorder::{Follower, Recorder};
use crate::report_command::print_run;
use crate::resume::{Start, resume};
use crate::sweep_folder::is_sweep;
use crate::timing::unix_seconds;

/// A run to execute.
pub(crate) struct RunRequest {
    pub(crate) source: ExperimentSource,
    pub(crate) folder: Folder,
    pub(crate) options: RunOptions,
}

/// The folder of a run.
pub(crate) enum Folder {
    /// A new folder: `out`, or else the first free one under `runs`. A fork starts from a checkpoint.
    New { out: Option<PathBuf>, fork: Option<ForkInfo> },
    /// The folder of the run to resume.
    Resumed(PathBuf),
}

/// Runs an experiment and prints its tables.
pub(crate) fn run(request: &RunRequest, group: &ProcessGroup) -> Result<(), Failure> {
    if group.leads() { interrupt::listen() } else { interrupt::ignore() }?;
    if request.options.until_input_ends {
        interrupt::listen_to_input();
    }
    on_threads(request.options.threads, || {
        let prepared = group.agree(prepare(&request.source))?;
        if group.leads() {
            prepared.warn();
        }
        let Experiment { device, numerics, .. } = &prepared.experiment;
        let backend = device::backend(*device, numerics.convolution);
        let backend = group.agree(backend.map_err(|error| request.source.error_at("device", error)))?;
        run_on(backend, prepared, request, group)
    })
}

fn run_on(
    backend: Rc<dyn Backend>,
    prepared: Prepared,
    request: &RunRequest,
    group: &ProcessGroup,
) -> Result<(), Failure> {
    let info = group.agree(describe(&prepared, &*backend))?;
    let Prepared { experiment, network, split, initial, .. } = prepared;
    let model = Model::new(backend, network, experiment.loss());
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
        // the other ranks start from the first one's state, and write nothing
        let bytes = ranks.broadcast_bytes(vec![]);
        let start = state_from_bytes(&bytes, model.network()).map_err(Failure::run)?;
        let mut sink = Follower { ranks };
        let ended = train(&model, &split, &train_config, start.state, &mut probes, &mut sink, ranks);
        let state = ended.map_err(|error| match error {
            // every rank finds it, and the first one reports it after it has written what was measured
            TrainError::NotFinite { .. } => Failure::Silent { exit_code: 1 },
            error => Failure::run(error),
        })?;
        return if is_at_end(&state, &experiment) { Ok(()) } else { Err(Failure::Silent { exit_code: 3 }) };
    }
    let mut start = begin(request, &experiment, &model, initial, info)?;
    if ranks.size() > 1 {
        let tensors = state_tensors(model.network(), &start.state, &start.metrics);
        ranks.broadcast_bytes(checkpoint_bytes(&tensors)?);
    }
    if matches!(request.folder, Folder::Resumed(_)) {
        if start.info.status == Status::Finished && is_at_end(&start.state, &experiment) {
            return say_finished(&start, &experiment, request.options);
        }
        start.write(&experiment)?;
    }
    let samples = [split.train.len(), split.valid.len()];
    let recorded = match &request.folder {
        Folder::Resumed(_) if !request.options.quiet => {
            start.folder.read_rows(&start.info).unwrap_or_default()
        }
        _ => vec![],
    };
    let progress =
        Progress::new(&train_config, &probes, samples, start.state.step, &recorded, request.options.quiet);
    let mut recorder = Recorder::new(&start, model.network(), &experiment, progress, ranks)?;
    let Start { folder, lock: _lock, state, .. } = start;
    let outcome = train(&model, &split, &train_config, state, &mut probes, &mut recorder, ranks);

    let status = match &outcome {
        Ok(state) if is_at_end(state, &experiment) => Status::Finished,
        Ok(_) => Status::Stopped,
        Err(_) => Status::Failed,
    };
    let message = outcome.as_ref().err().map(ToString::to_string);
    let state = match outcome {
        Ok(state) => state,
        Err(error) => {
            // the error that ended the run says more than a failure to write its description or read its tables
            let _ = recorder.finish(status, message, &probes);
            let _ = print_run(&folder, request.options);
            return Err(Failure::Run(anyhow!("{error}; the run folder is {}", folder.path().display())));
        }
    };
    let finished = status == Status::Finished;
    if finished {
        let tensors = point_tensors(model.network(), &state.point);
        folder.write_checkpoint("final", &tensors).map_err(Failure::run)?;
    }
    recorder.finish(status, message, &probes).map_err(Failure::run)?;
    print_run(&folder, request.options).map_err(Failure::Run)?;
    if finished {
        return Ok(());
    }
    let all = u64::from(experiment.epochs) * optim.updates_per_epoch(split.train.len()) as u64;
    Err(Failure::Stopped(format!(
        "stopped after update {} of {all}; resume with `sgdwalk resume {}`",
        state.step.0,
        folder.path().display()
    )))
}

/// Reports that a finished run has nothing left to do, and prints its tables.
fn say_finished(start: &Start, experiment: &Experiment, options: RunOptions) -> Result<(), Failure> {
    let (path, epochs) = (start.folder.path().display(), experiment.epochs);
    errln!(
        "nothing to do: {path} is finished, its {} done; to train longer, use `sgdwalk resume {path} --epochs N`",
        if epochs == 1 { "epoch is".into() } else { format!("{epochs} epochs are") }
    );
    print_run(&start.folder, options).map_err(Failure::Run)
}

/// Refuses to create a run inside the folder of a sweep or another run.
fn check_place(path: &Path) -> Result<()> {
    if is_sweep(path) {
        bail!("{}: the folder of a sweep; choose another folder with --out", path.display());
    }
    match path.parent().filter(|parent| RunFolder::is_at(parent)) {
        Some(parent) => bail!("{}: is inside the folder of the run {}", path.display(), parent.display()),
        None => Ok(()),
    }
}

/// Whether the experiment's last epoch is done. It is the epoch that counts: a fork's steps need not add up to its epochs.
fn is_at_end(state: &TrainState, experiment: &Experiment) -> bool {
    state.epoch_done && state.epoch >= experiment.epochs
}

/// Makes the run's folder, or takes the one to resume in.
fn begin(
    request: &RunRequest,
    experiment: &Experiment,
    model: &Model,
    of_plugin: Option<Point>,
    mut info: RunInfo,
) -> Result<Start> {
    let initial = |info: &RunInfo| initial_state(&request.source, experiment, model, of_plugin, info);
    match &request.folder {
        Folder::Resumed(path) => resume(path, experiment, model.network(), &info, initial),
        Folder::New { out, fork } => {
            info.fork.clone_from(fork);
            let state = initial(&info)?;
            let (folder, lock) = loop {
                let path = run_folder(out.as_deref(), experiment.name())?;
                check_place(&path)?;
                match RunFolder::create(&path, &experiment.to_toml()?, &info) {
                    // another process created it first
                    Err(RecordError::Exists { .. } | RecordError::Occupied { .. }) if out.is_none() => {}
                    created => break created?,
                }
            };
            Ok(Start { folder, lock, info, state, metrics: MetricsMark::default() })
        }
    }
}

/// The state before the first update of a run: a checkpoint of its parent, the parameters of a file or of the plugin, or drawn
/// parameters.
fn initial_state(
    source: &ExperimentSource,
    experiment: &Experiment,
    model: &Model,
    of_plugin: Option<Point>,
    info: &RunInfo,
) -> Result<TrainState> {
    let point = match (&info.fork, &experiment.init.from) {
        (Some(fork), _) => return fork_state(fork, model.network(), info, experiment),
        (None, Some(InitFrom::File(from))) => read_point(from, model.network(), "init.from"),
        (None, Some(InitFrom::Plugin)) => Ok(of_plugin.context("the plugin's values were not read")?),
        (None, None) => Ok(model.initial(Seed(experiment.seed))),
    };
    Ok(TrainState::new(point.map_err(|error| source.train_error(error))?))
}

/// The folder for a new run: `out` if given, else the first free one under `runs`.
pub(crate) fn run_folder(out: Option<&Path>, name: &str) -> Result<PathBuf> {
    if let Some(path) = out {
        return Ok(path.to_path_buf());
    }
    let numbered =
        |n: u32| PathBuf::from("runs").join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
    let free = |path: &PathBuf| path.symlink_metadata().is_err();
    (1..).map(numbered).find(free).context("no free run folder")
}

fn data_info(config: &DataConfig, split: &Split) -> DataInfo {
    let counts = split.train.class_counts().into_iter().zip(split.valid.class_counts());
    let classes = split.images.classes.iter().zip(counts);
    DataInfo {
        set: config.set.name().into(),
        sha256: split.images.sha256(),
        train: split.train.len(),
        valid: split.valid.len(),
        classes: classes
            .map(|(name, (train, valid))| ClassInfo { name: name.clone(), train, valid })
            .collect(),
        remarks: split.images.remarks.clone(),
    }
}

fn describe(prepared: &Prepared, backend: &dyn Backend) -> Result<RunInfo> {
    let Prepared { experiment, network, network_sha256, split, plugin, option_files, .. } = prepared;
    let of_plugin = option_files.iter().map(|(key, path)| (key.as_str(), path.as_path()));
    // what cannot be read is reported by what needs it
    let files = experiment.files().into_iter().chain(of_plugin).filter_map(|(key, path)| {
        let sha256 = sha256(std::fs::read(path).ok()?);
        Some(FileInfo { key: key.into(), path: path.display().to_string(), sha256 })
    });
    Ok(RunInfo {
        format: FORMAT,
        name: experiment.name().to_owned(),
        status: Status::Running,
        message: None,
        version: env!("CARGO_PKG_VERSION").into(),
        seed: experiment.seed,
        device: backend.name().into(),
        threads: rayon::current_num_threads(),
        started_unix_s: unix_seconds(),
        elapsed_s: None,
        probes: vec![],
        fork: None,
        config_sha256: experiment.numbers_sha256()?,
        files: files.collect(),
        metrics: MetricsMark::default(),
        plugin: plugin.clone(),
        network: NetworkInfo {
            n_params: network.n_params(),
            sha256: network_sha256.clone(),
            multiply_adds: network.multiply_adds(),
            input: network.problem().input.clone(),
            classes: network.problem().classes,
        },
        data: data_info(&experiment.data, split),
        machine: MachineInfo::here(),
    })
}
