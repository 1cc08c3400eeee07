//! Probes at work: what each must be able to do, and the schedule, the count and the clock that the loop keeps of each.

use std::time::{Duration, Instant};

use walk_core::Backend;
use walk_record::rows::Kind;

use super::context::ProbeContext;
use crate::{Memory, Position, Schedule, TrainError, Update, Work};

/// Something that looks at updates.
pub(crate) trait Probe {
    /// What one measurement takes.
    fn work(&self) -> Work;

    /// Sees every update, due or not, before it is asked to measure: what it needs of the past it keeps.
    ///
    /// # Errors
    /// [`TrainError`] if the device fails.
    fn observe(&mut self, _update: &Update<'_>) -> Result<(), TrainError> {
        Ok(())
    }

    /// What it keeps of the past.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// Takes back what [`Probe::memory`] gave.
    ///
    /// # Errors
    /// [`TrainError::State`] if it is not this probe's.
    fn restore(&mut self, _memory: &Memory) -> Result<(), TrainError> {
        Ok(())
    }

    /// Looks at an update and says what it found. What is not finite is recorded as missing.
    ///
    /// # Errors
    /// [`TrainError`] if the device fails.
    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError>;
}

/// A probe's section of the experiment.
pub(super) trait Section {
    /// Checks what its values' own types do not; `key` is its place in the experiment.
    ///
    /// # Errors
    /// [`TrainError::Value`] for the first value that cannot be used.
    fn check(&self, _key: &str) -> Result<(), TrainError> {
        Ok(())
    }

    /// The probe.
    ///
    /// # Errors
    /// [`TrainError::Value`] if what it needs cannot be had.
    fn probe<'a, B: Backend>(&self, context: ProbeContext<'a, B>) -> Result<Box<dyn Probe + 'a>, TrainError>;
}

/// A probe at work in a run.
pub struct ActiveProbe<'a> {
    /// Its section's name.
    pub name: &'static str,
    when: Schedule,
    probe: Box<dyn Probe + 'a>,
    /// Updates it has measured.
    pub measurements: usize,
    /// Time it has taken.
    pub elapsed: Duration,
}

impl<'a> ActiveProbe<'a> {
    pub(super) fn new(name: &'static str, when: &Schedule, probe: Box<dyn Probe + 'a>) -> Self {
        Self { name, when: when.clone(), probe, measurements: 0, elapsed: Duration::ZERO }
    }

    /// Whether it measures at the update at `at`.
    pub fn is_due(&self, at: Position) -> bool {
        self.when.includes(at)
    }

    /// What one measurement takes.
    pub fn work(&self) -> Work {
        self.probe.work()
    }

    /// What it keeps of the past.
    pub(crate) fn memory(&self) -> Memory {
        self.probe.memory()
    }

    /// Takes back what [`ActiveProbe::memory`] gave.
    pub(crate) fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        self.probe.restore(memory)
    }

    /// Shows it an update; what it found, if it is due.
    pub(crate) fn see(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        let started = Instant::now();
        let result = self.probe.observe(update).and_then(|()| {
            if !self.when.includes(update.at) {
                return Ok(vec![]);
            }
            self.measurements += 1;
            self.probe.measure(update)
        });
        self.elapsed += started.elapsed();
        result
    }
}
