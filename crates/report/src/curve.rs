//! A quantity over a run, from which figures of several runs are made.

use walk_record::rows::RowKind;
use walk_record::{Measured, Run};

use crate::chart::Axis;

/// A quantity over a run.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// The name of the figure that it belongs to.
    pub(crate) name: String,
    /// What the figure shows.
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// Its name among the curves of one run in the figure; empty if it is the only one.
    pub(crate) variant: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Reference values to compare it with.
    pub(crate) levels: Vec<Level>,
    /// Whether each point is marked.
    pub(crate) dots: bool,
}

/// A reference value for a curve.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Level {
    /// Its name, or empty.
    pub(crate) label: String,
    pub(crate) at: f64,
}

/// A value measured after a number of updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepValue {
    pub(crate) step: u64,
    pub(crate) value: f64,
}

impl Curve {
    /// A curve without points, on linear axes with these labels.
    pub(crate) fn new(name: impl Into<String>, title: impl Into<String>, x: &str, y: &str) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            x: Axis::new(x),
            y: Axis::new(y),
            variant: String::new(),
            points: vec![],
            levels: vec![],
            dots: false,
        }
    }

    /// The curve through values at their updates.
    pub(crate) fn through(self, values: &[StepValue]) -> Self {
        Self { points: values.iter().map(|found| (found.step as f64, found.value)).collect(), ..self }
    }
}

impl Level {
    pub(crate) fn new(label: impl Into<String>, at: f64) -> Self {
        Self { label: label.into(), at }
    }

    /// Whether it is close enough to the largest value shown not to flatten the figure.
    pub(crate) fn is_near(&self, largest: f64) -> bool {
        self.at < 3.0 * largest
    }
}

/// The known values of a run's rows of one kind.
pub(crate) fn step_values<T: RowKind>(run: &Run, value: impl Fn(&T) -> Measured) -> Vec<StepValue> {
    run.rows::<T>()
        .filter_map(|row| Some(StepValue { step: row.at.step, value: value(&row).get()? }))
        .collect()
}
