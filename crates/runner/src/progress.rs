//! The progress bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use walk_core::Step;
use walk_record::rows::Kind;
use walk_record::{Measured, Row};
use walk_train::probe::ActiveProbe;
use walk_train::{Position, Span, TrainConfig, Work};

/// A bar as long as the run's work.
pub(crate) struct Progress {
    bar: ProgressBar,
    epochs: u32,
    updates: usize,
    loss: Measured,
    barriers: usize,
    segments: usize,
}

impl Progress {
    /// A bar for the updates of `config` on that many samples, of which those up to `done` have been made.
    pub(crate) fn new(
        config: &TrainConfig,
        probes: &[ActiveProbe<'_>],
        samples: usize,
        done: Step,
        target: ProgressDrawTarget,
    ) -> Self {
        let updates = config.optim.updates_per_epoch(samples);
        let update = Work { differentiated: samples / updates, ..Work::default() }.weight() as u64;
        let span = Span { epochs: config.epochs, updates: updates as u32 };
        let weight = |updates: u64, measurements: &dyn Fn(&ActiveProbe<'_>) -> u64| {
            let probes =
                probes.iter().map(|probe| measurements(probe).saturating_mul(probe.work().weight() as u64));
            probes.fold(updates.saturating_mul(update), u64::saturating_add)
        };
        let all = weight(span.total(), &|probe| probe.count(span));
        let past = weight(done.0, &|probe| probe.count_first(done, span.updates));
        let bar = ProgressBar::with_draw_target(Some(all), target).with_position(past);
        bar.reset_eta();
        let template = "{msg} {wide_bar} {percent}% {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, epochs: config.epochs, updates, loss: Measured::MISSING, barriers: 0, segments: 0 }
    }

    /// Takes in a row.
    pub(crate) fn row(&mut self, row: &Row) {
        match &row.kind {
            Kind::Train(row) => self.loss = row.loss,
            Kind::Interpolation(row) => {
                self.segments += 1;
                self.barriers += usize::from(row.barrier == Some(true));
            }
            _ => {}
        }
    }

    /// Advances the bar.
    pub(crate) fn advance(&mut self, at: Position, weight: usize) {
        let (epochs, updates) = (self.epochs, self.updates);
        self.bar.set_message(format!(
            "epoch {}/{epochs} {}/{updates} loss {:.4} barriers {}/{}",
            at.epoch, at.iteration, self.loss, self.barriers, self.segments
        ));
        self.bar.inc(weight as u64);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
