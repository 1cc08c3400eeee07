//! The curvatures that training cannot exceed for long, as reference levels in figures and as table cells.

use walk_record::Measured;

use crate::chart::Rule;
use crate::curve::{Curve, Level, StepValue};
use crate::table::Format;

/// The thresholds of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Thresholds {
    /// Full-batch gradient descent is unstable above this value.
    pub(crate) stability: Measured,
    /// The value where the sharpness of small batches settles.
    pub(crate) small_batch: Measured,
}

/// The column of [`Thresholds::stability`].
pub(crate) const STABLE_BELOW: &str = "stable below";
/// The column of [`Thresholds::small_batch`].
pub(crate) const PLATEAU: &str = "small-batch plateau";

impl Thresholds {
    /// Each as a level with its value. Without momentum, the two coincide.
    pub(crate) fn levels(self) -> Vec<Level> {
        let is_one = self.small_batch == self.stability || self.small_batch.get().is_none();
        let level = |at: Measured, label: &str| {
            let text = format!("{label} {}", Format::Short.text(at));
            at.get().map(|at| Level::new(text, at))
        };
        let plateau = if is_one { None } else { level(self.small_batch, PLATEAU) };
        level(self.stability, STABLE_BELOW).into_iter().chain(plateau).collect()
    }

    /// `curve` with the thresholds of each of its updates: as levels while they do not change, otherwise as curves.
    pub(crate) fn beside(curve: Curve, by_step: &[(u64, Self)]) -> Vec<Curve> {
        let Some(levels) = by_step.first().map(|(_, thresholds)| thresholds.levels()) else {
            return vec![curve];
        };
        if by_step.windows(2).all(|pair| pair[0].1 == pair[1].1) {
            return vec![Curve { levels, ..curve }];
        }
        let values = |value: fn(&Self) -> Measured| -> Vec<StepValue> {
            let known = by_step.iter().filter_map(|(step, thresholds)| {
                Some(StepValue { step: *step, value: value(thresholds).get()? })
            });
            known.collect()
        };
        let (stability, plateau) = (values(|found| found.stability), values(|found| found.small_batch));
        let mut curves = curve.beside(STABLE_BELOW, STABLE_BELOW, &stability);
        if plateau != stability {
            let beside = curves[0].clone().beside(PLATEAU, PLATEAU, &plateau);
            curves.extend(beside.into_iter().skip(1));
        }
        curves
    }

    /// The levels that are not far above `largest`; others would flatten the figure.
    pub(crate) fn rules(self, largest: f64) -> Vec<Rule> {
        let levels = self.levels().into_iter().filter(|level| level.is_near(largest));
        levels.map(|level| Rule { label: Some(level.label), ..Rule::across(level.at) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_drawn_where_they_do_not_flatten_the_figure() {
        let labels = |stability: f64, small_batch: f64, largest| {
            let thresholds = Thresholds { stability: stability.into(), small_batch: small_batch.into() };
            thresholds.rules(largest).into_iter().map(|rule| rule.label.unwrap()).collect::<Vec<String>>()
        };
        assert_eq!(labels(38.0, 2.0, 20.0), ["stable below 38.000", "small-batch plateau 2.000"]);
        assert_eq!(labels(38.0, 2.0, 5.0), ["small-batch plateau 2.000"]);
        assert_eq!(labels(20.0, 20.0, 20.0), ["stable below 20.000"]);
        assert_eq!(labels(20.0, f64::NAN, 20.0), ["stable below 20.000"]);
    }
}
