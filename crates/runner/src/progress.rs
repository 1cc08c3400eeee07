//! Rows to disk, progress to the terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use walk_record::{MetricsWriter, RecordError, Row};
use walk_train::{ActiveProbe, Position, Sink, TrainConfig};

/// Writes rows to the run folder and keeps a bar up to date.
pub(crate) struct Recorder {
    metrics: MetricsWriter,
    bar: ProgressBar,
    epochs: u32,
    updates: usize,
    loss: f64,
    barriers: usize,
    segments: usize,
}

impl Recorder {
    /// A recorder whose bar is as long as the run's work: the samples that training and probes will look at.
    pub(crate) fn new(
        metrics: MetricsWriter,
        config: &TrainConfig,
        probes: &[ActiveProbe<'_>],
        samples: usize,
        quiet: bool,
    ) -> Self {
        let updates = config.optim.updates_per_epoch(samples);
        let positions = (1..=config.epochs).flat_map(|epoch| (1..=updates as u32).map(move |i| (epoch, i)));
        let measured: usize = positions
            .map(|(epoch, iteration)| Position {
                epoch,
                iteration,
                updates: updates as u32,
                step: walk_core::Step(u64::from(epoch - 1) * updates as u64 + u64::from(iteration)),
            })
            .map(|at| probes.iter().filter(|probe| probe.is_due(at)).map(|probe| probe.cost()).sum::<usize>())
            .sum();
        let work = config.epochs as usize * samples + measured;
        // indicatif hides the bar by itself where standard error is no terminal
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(work as u64), target);
        // the bar takes what a terminal of 80 columns leaves
        let template = "{msg} {wide_bar} {percent}% {per_sec} {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let samples_per_second = |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.progress_chars("=> ").with_key("per_sec", samples_per_second));
        bar.enable_steady_tick(Duration::from_millis(500));
        let epochs = config.epochs;
        Self { metrics, bar, epochs, updates, loss: f64::NAN, barriers: 0, segments: 0 }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Sink for Recorder {
    fn row(&mut self, row: &Row) -> Result<(), RecordError> {
        match row {
            Row::Train(row) => self.loss = row.loss,
            Row::Interpolation(row) => {
                self.segments += 1;
                self.barriers += usize::from(row.barrier);
            }
            _ => {}
        }
        self.metrics.write(row)
    }

    fn progress(&mut self, at: Position, samples: usize) {
        let (epochs, updates) = (self.epochs, self.updates);
        self.bar.set_message(format!(
            "epoch {}/{epochs} {}/{updates} loss {:.4} barriers {}/{}",
            at.epoch, at.iteration, self.loss, self.barriers, self.segments
        ));
        self.bar.inc(samples as u64);
    }
}
