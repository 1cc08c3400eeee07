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
    /// The widest gap that the line bridges even if the points before and after it are closer to each other; `None` if it is never
    /// broken.
    pub(crate) bridged: Option<f64>,
    /// Share of its values that lie beyond the end of the x axis.
    pub(crate) omitted: f64,
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
            bridged: None,
            omitted: 0.0,
        }
    }

    /// The curve through values at their updates.
    pub(crate) fn through(self, values: &[StepValue]) -> Self {
        let x = Axis { integer: true, ..self.x };
        Self { points: values.iter().map(|found| (found.step as f64, found.value)).collect(), x, ..self }
    }
}

impl Curve {
    /// The curve with a reference whose value belongs to each update: as a level called `label` if it never changes, otherwise
    /// also as a curve called `name` of the same figure.
    pub(crate) fn beside(
        mut self,
        name: &str,
        label: impl Into<String>,
        reference: &[StepValue],
    ) -> Vec<Self> {
        let Some(first) = reference.first() else { return vec![self] };
        if reference.iter().all(|found| found.value.to_bits() == first.value.to_bits()) {
            self.levels.push(Level::new(label, first.value));
            return vec![self];
        }
        let variant = match self.variant.as_str() {
            "" => name.to_owned(),
            own => format!("{own}, {name}"),
        };
        let reference = Self { variant, levels: vec![], dots: false, ..self.clone() }.through(reference);
        vec![self, reference]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_level_until_it_changes() {
        let values = |values: [f64; 2]| {
            [(1, values[0]), (2, values[1])].map(|(step, value)| StepValue { step, value })
        };
        let curve = || Curve::new("a", "A", "update", "a").through(&values([3.0, 4.0]));
        assert!(curve().x.integer);
        let constant = curve().beside("limit", "limit 5", &values([5.0, 5.0]));
        let [only] = constant.as_slice() else { panic!("{constant:?}") };
        assert_eq!(only.levels, [Level::new("limit 5", 5.0)]);
        let changing = curve().beside("limit", "limit 5", &values([5.0, 6.0]));
        let [own, limit] = changing.as_slice() else { panic!("{changing:?}") };
        assert!(own.levels.is_empty() && limit.variant == "limit");
        assert_eq!((own.points[1], limit.points[1]), ((2.0, 4.0), (2.0, 6.0)));
        assert_eq!(curve().beside("limit", "", &[]).len(), 1);
    }
}
