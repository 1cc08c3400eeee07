//! Active probes: the trait that each implements, and the schedule, the count and the timer that the loop keeps for it.

use std::time::{Duration, Instant};

use walk_core::Step;
use walk_record::rows::Kind;

use super::context::ProbeContext;
use super::values::Unused;
use crate::{Memory, Position, Schedule, Span, TrainError, Update, Work};

/// Measures updates.
pub(crate) trait Probe {
    /// The work of one measurement.
    fn work(&self) -> Work;

    /// Number of vectors of the size of θ that it remembers between updates, at the end of a run of this span, about.
    fn remembered(&self, _span: Span) -> usize {
        0
    }

    /// Number of such vectors that one measurement holds besides, in a run of this span, about.
    fn held(&self, _span: Span) -> usize {
        2
    }

    /// The work besides measurements in the first `updates` updates of a run.
    fn work_between(&self, _updates: Step) -> Work {
        Work::default()
    }

    /// Called with every update, due or not, before `measure`, to let the probe keep what it needs from the past.
    ///
    /// # Errors
    /// [`TrainError`] if the device fails.
    fn observe(&mut self, _update: &Update<'_>) -> Result<(), TrainError> {
        Ok(())
    }

    /// The state that it keeps between updates.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// Restores what [`Probe::memory`] returned.
    ///
    /// # Errors
    /// [`TrainError::State`] if it does not belong to this probe.
    fn restore(&mut self, _memory: &Memory) -> Result<(), TrainError> {
        Ok(())
    }

    /// Measures an update. Values that are not finite are recorded as missing.
    ///
    /// # Errors
    /// [`TrainError`] if the device fails.
    fn measure(&mut self, update: &Update<'_>) -> Result<Vec<Kind>, TrainError>;
}

/// A probe's section of the experiment.
pub(super) trait Section {
    /// Checks conditions that the types of its values cannot express; `key` is its place in the experiment, whose run has `updates`
    /// updates.
    ///
    /// # Errors
    /// [`TrainError::Value`] for the first invalid value.
    fn check(&self, _key: &str, _updates: u64) -> Result<(), TrainError> {
        Ok(())
    }

    /// For each key that may be set in vain, whether it is: not at its default, but without effect.
    fn without_effect(&self) -> Vec<Option<Unused>> {
        vec![]
    }

    /// Its schedules other than `when`, by key.
    fn schedules(&self) -> Vec<(&'static str, &Schedule)> {
        vec![]
    }

    /// The probe.
    ///
    /// # Errors
    /// [`TrainError::Value`] if something it needs is not available.
    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError>;
}

/// A probe in a run.
pub struct ActiveProbe<'a> {
    /// Its section's name.
    pub name: &'static str,
    when: Schedule,
    probe: Box<dyn Probe + 'a>,
    /// Number of updates it has measured.
    pub measurements: usize,
    /// Time spent in it.
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

    /// The number of updates of a run that it measures.
    pub fn count(&self, span: Span) -> u64 {
        self.when.count(span)
    }

    /// The number of the first `done` updates of a run that it measures.
    pub fn count_first(&self, done: Step, updates: u32) -> u64 {
        self.when.count_first(done, updates)
    }

    /// The work of one measurement.
    pub fn work(&self) -> Work {
        self.probe.work()
    }

    /// Number of vectors of the size of θ that it remembers between updates, at the end of a run of this span, about.
    pub fn remembered(&self, span: Span) -> usize {
        self.probe.remembered(span)
    }

    /// Number of such vectors that one measurement holds besides, in a run of this span, about.
    pub fn held(&self, span: Span) -> usize {
        self.probe.held(span)
    }

    /// The work besides measurements in the first `updates` updates of a run.
    pub fn work_between(&self, updates: Step) -> Work {
        self.probe.work_between(updates)
    }

    /// The state that it keeps between updates.
    pub(crate) fn memory(&self) -> Memory {
        self.probe.memory()
    }

    /// Restores what [`ActiveProbe::memory`] returned.
    pub(crate) fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        self.probe.restore(memory)
    }

    /// Passes it an update; returns its measurement if it is due.
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
