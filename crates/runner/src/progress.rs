//! The progress bar, with the remaining time estimated from the work done so far.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use walk_core::Step;
use walk_record::rows::Kind;
use walk_record::{Measured, Row};
use walk_train::probe::ActiveProbe;
use walk_train::{Position, Span, TrainConfig, UPDATE, VALIDATION, Work};

use crate::timing::duration;

/// Number of steps of the bar.
const LENGTH: u64 = 1000;

/// A bar with a template, on standard error unless `quiet`.
pub(crate) fn bar(length: u64, template: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// A bar that advances with the time that the run's work takes.
pub(crate) struct Progress {
    bar: ProgressBar,
    epochs: u32,
    updates: usize,
    costs: Costs,
    loss: Measured,
    /// Barriers and segments since the run began.
    barriers: usize,
    segments: usize,
}

impl Progress {
    /// A bar for the updates of `config` on that number of samples, of which those up to `done` have been made and produced the
    /// rows `recorded`.
    pub(crate) fn new(
        config: &TrainConfig,
        probes: &[ActiveProbe<'_>],
        [train, valid]: [usize; 2],
        done: Step,
        recorded: &[Row],
        quiet: bool,
    ) -> Self {
        let updates = config.optim.updates_per_epoch(train);
        let span = Span { epochs: config.epochs, updates: updates as u32 };
        let of = |name, work: Work, all: u64, past: u64| Cost {
            name,
            guess: work.weight() as f64,
            remaining: all.saturating_sub(past),
            past,
            count: 0,
            elapsed: Duration::ZERO,
        };
        let update = Work { differentiated: train / updates, ..Work::default() };
        let validation = Work { evaluated: valid, ..Work::default() };
        let mut kinds = vec![
            of(UPDATE, update, span.total(), done.0),
            of(VALIDATION, validation, u64::from(config.epochs), done.0 / updates as u64),
        ];
        kinds.extend(probes.iter().map(|probe| {
            of(probe.name, probe.work(), probe.count(span), probe.count_first(done, span.updates))
        }));
        let bar = bar(LENGTH, "{msg} {wide_bar} {percent}% {prefix}", quiet);
        let costs = Costs { kinds, current: None };
        let mut progress = Self {
            bar,
            epochs: config.epochs,
            updates,
            costs,
            loss: Measured::MISSING,
            barriers: 0,
            segments: 0,
        };
        recorded.iter().filter(|row| row.at.step <= done.0).for_each(|row| progress.row(row));
        progress
    }

    /// Accounts for a row.
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

    /// Notes that a piece of work begins.
    pub(crate) fn begins(&mut self, at: Position, work: &'static str) {
        if self.bar.is_hidden() {
            return;
        }
        self.costs.begins(work, Instant::now());
        let (epochs, updates) = (self.epochs, self.updates);
        let segments = match self.segments {
            0 => String::new(),
            segments => format!(" barriers {}/{segments}", self.barriers),
        };
        let probe = if work == UPDATE { String::new() } else { format!(" [{work}]") };
        self.bar.set_message(format!(
            "epoch {}/{epochs} {}/{updates} loss {:.4}{segments}{probe}",
            at.epoch, at.iteration, self.loss
        ));
        let [past, left] = self.costs.seconds();
        if past + left > 0.0 {
            self.bar.set_position((LENGTH as f64 * past / (past + left)) as u64);
            self.bar.set_prefix(format!("{} left", duration(left)));
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// How long each kind of work took, and how much of it remains.
#[derive(Debug)]
struct Costs {
    kinds: Vec<Cost>,
    /// What is being done, and since when.
    current: Option<(usize, Instant)>,
}

#[derive(Debug)]
struct Cost {
    name: &'static str,
    /// Estimated cost of one piece, in units shared by all kinds.
    guess: f64,
    remaining: u64,
    /// How often it was done before this process started.
    past: u64,
    /// How often this process did it, and how long that took.
    count: u64,
    elapsed: Duration,
}

impl Costs {
    /// Ends the current piece of work and begins one of this name.
    fn begins(&mut self, name: &str, now: Instant) {
        if let Some((index, since)) = self.current.take() {
            let kind = &mut self.kinds[index];
            kind.elapsed += now - since;
            kind.count += 1;
            kind.remaining = kind.remaining.saturating_sub(1);
        }
        self.current = self.kinds.iter().position(|kind| kind.name == name).map(|index| (index, now));
    }

    /// Seconds that all work so far has taken, and that the remaining work will take: each kind takes as long as before, and
    /// kinds not yet done are scaled by their estimated cost relative to those that were.
    fn seconds(&self) -> [f64; 2] {
        let (mut seconds, mut guess) = (0.0, 0.0);
        for kind in &self.kinds {
            seconds += kind.elapsed.as_secs_f64();
            guess += kind.count as f64 * kind.guess;
        }
        let unit = if guess > 0.0 { seconds / guess } else { 0.0 };
        let [mut past, mut left] = [0.0; 2];
        for kind in &self.kinds {
            let cost = match kind.count {
                0 => kind.guess * unit,
                count => kind.elapsed.as_secs_f64() / count as f64,
            };
            past += (kind.past + kind.count) as f64 * cost;
            left += kind.remaining as f64 * cost;
        }
        [past, left]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_what_each_kind_of_work_took() {
        let cost = |name, guess, remaining, past| Cost {
            name,
            guess,
            remaining,
            past,
            count: 0,
            elapsed: Duration::ZERO,
        };
        let kinds = vec![cost("update", 1.0, 10, 4), cost("probe", 5.0, 3, 0), cost("late", 2.0, 1, 0)];
        let mut costs = Costs { kinds, current: None };
        assert!(costs.seconds().iter().all(|seconds| *seconds == 0.0));
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        costs.begins("update", at(0));
        costs.begins("probe", at(1));
        costs.begins("update", at(21));
        costs.begins("update", at(22));
        // updates take a second, the probe 20; a unit is 22 s / 7, and the kind never done takes two of them
        let [past, left] = costs.seconds();
        assert!((past - (6.0 + 20.0)).abs() < 1e-9, "{past}");
        assert!((left - (8.0 + 40.0 + 2.0 * 22.0 / 7.0)).abs() < 1e-9, "{left}");
    }
}
