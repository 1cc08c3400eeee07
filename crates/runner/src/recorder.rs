//! Writes rows and checkpoints to disk, and progress to the terminal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use walk_arch::Network;
use walk_record::{EventWriter, MetricsWriter, ProbeInfo, RecordError, Row, RunFolder, RunInfo, Status};
use walk_train::probe::ActiveProbe;
use walk_train::{After, CheckpointConfig, Position, Ranks, Sink, TrainState, state_tensors};

use crate::experiment::Experiment;
use crate::interrupt;
use crate::live_report::LiveReport;
use crate::progress::Progress;
use crate::resume::Start;

/// Name of the checkpoint written after a time interval or a signal; it replaces the previous one of this kind.
const LATEST: &str = "latest";

/// Writes a run into its folder.
pub(crate) struct Recorder<'a> {
    folder: RunFolder,
    /// Its description when this process began, without the work of this process.
    info: RunInfo,
    /// When this process began.
    started: Instant,
    network: &'a Network,
    metrics: MetricsWriter,
    events: Option<EventWriter>,
    config: CheckpointConfig,
    /// The last epoch.
    epochs: u32,
    saved: Instant,
    report: LiveReport,
    progress: Progress,
    /// The other ranks follow this process.
    ranks: &'a Arc<dyn Ranks>,
}

impl<'a> Recorder<'a> {
    /// Records what follows after `start`.
    pub(crate) fn new(
        start: &Start,
        network: &'a Network,
        experiment: &Experiment,
        progress: Progress,
        ranks: &'a Arc<dyn Ranks>,
    ) -> Result<Self, RecordError> {
        let folder = start.folder.clone();
        let metrics = folder.metrics(&start.metrics)?;
        let events = experiment.record.tensorboard.then(|| folder.events(&start.metrics)).transpose()?;
        let info = start.info.clone();
        let (config, epochs, started) = (experiment.checkpoint.clone(), experiment.epochs, Instant::now());
        let report = LiveReport::new(folder.path(), &info.name);
        let saved = started;
        Ok(Self {
            folder,
            info,
            started,
            network,
            metrics,
            events,
            config,
            epochs,
            saved,
            report,
            progress,
            ranks,
        })
    }

    /// Removes the progress bar and the checkpoint that a finished run no longer needs, and writes the description.
    pub(crate) fn finish(
        &mut self,
        status: Status,
        message: Option<String>,
        probes: &[ActiveProbe<'_>],
    ) -> Result<(), RecordError> {
        self.progress.finish();
        if status == Status::Finished {
            self.metrics.end()?;
            self.folder.remove_checkpoint(LATEST)?;
        }
        self.metrics.sync()?;
        self.folder.write_info(&RunInfo { status, message, ..self.description(probes) })
    }

    /// The run's description now.
    fn description(&self, probes: &[ActiveProbe<'_>]) -> RunInfo {
        let mut info = self.info.clone();
        info.metrics = self.metrics.mark();
        info.elapsed_s = Some(info.elapsed_s.unwrap_or(0.0) + self.started.elapsed().as_secs_f64());
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
        info
    }

    /// Whether a checkpoint is made after an epoch.
    fn is_regular(&self, epoch: u32) -> bool {
        let CheckpointConfig { every, epochs, .. } = &self.config;
        *every > 0 && (epoch.is_multiple_of(*every) || epoch == self.epochs) || epochs.contains(&epoch)
    }

    /// Keeps only the last few of the checkpoints after epochs that are not listed.
    fn prune(&self) -> Result<(), RecordError> {
        let is_listed = |name: &String| self.config.epochs.iter().any(|&epoch| *name == epoch_name(epoch));
        let mut others = self.folder.checkpoints()?;
        others.retain(|name| name.starts_with("epoch-") && !is_listed(name));
        let n_removed = others.len().saturating_sub(self.config.last);
        others[..n_removed].iter().try_for_each(|name| self.folder.remove_checkpoint(name))
    }
}

/// Names sort by epoch.
fn epoch_name(epoch: u32) -> String {
    format!("epoch-{epoch:07}")
}

impl Sink for Recorder<'_> {
    fn row(&mut self, row: &Row) -> Result<(), RecordError> {
        self.progress.row(row);
        self.metrics.write(row)?;
        self.events.as_mut().map_or(Ok(()), |events| events.write(row))
    }

    fn begins(&mut self, at: Position, work: &'static str) {
        self.progress.begins(at, work);
    }

    fn after(&mut self, at: Position) -> After {
        self.report.write_if_due(|| vec![self.folder.path().to_path_buf()]);
        let end_of_epoch = at.iteration == at.updates && self.is_regular(at.epoch);
        let by_clock =
            self.config.seconds > 0 && self.saved.elapsed() >= Duration::from_secs(self.config.seconds);
        let stop = interrupt::asked();
        self.ranks.broadcast(0, &mut [f64::from(u8::from(stop))]);
        match (stop, end_of_epoch || by_clock) {
            (true, _) => After::SaveAndStop,
            (false, true) => After::Save,
            (false, false) => After::Continue,
        }
    }

    fn save(
        &mut self,
        at: Position,
        state: &TrainState,
        probes: &[ActiveProbe<'_>],
    ) -> Result<(), RecordError> {
        // rows must reach the disk before the state that they belong to
        self.metrics.sync()?;
        let mark = self.metrics.mark();
        let tensors = state_tensors(self.network, state, &mark);
        if state.epoch_done && self.is_regular(at.epoch) {
            self.folder.write_checkpoint(&epoch_name(at.epoch), &tensors)?;
            self.folder.remove_checkpoint(LATEST)?;
            self.prune()?;
        } else {
            self.folder.write_checkpoint(LATEST, &tensors)?;
        }
        self.folder.write_info(&self.description(probes))?;
        self.saved = Instant::now();
        Ok(())
    }
}

/// The sink of a process that does not lead its job: keeps nothing, and stops when the leading process does.
pub(crate) struct Follower<'a> {
    pub(crate) ranks: &'a Arc<dyn Ranks>,
}

impl Sink for Follower<'_> {
    fn row(&mut self, _row: &Row) -> Result<(), RecordError> {
        Ok(())
    }

    fn begins(&mut self, _at: Position, _work: &'static str) {}

    fn after(&mut self, _at: Position) -> After {
        let mut stop = [0.0];
        self.ranks.broadcast(0, &mut stop);
        if stop[0] > 0.0 { After::SaveAndStop } else { After::Continue }
    }
}
