//! The learning rate of each update.

use walk_record::Run;
use walk_record::rows::Train;

use crate::curve::{Curve, step_values};

/// The learning rate by update, if it changes.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let rates = step_values(run, |row: &Train| row.lr.into());
    if rates.windows(2).all(|pair| pair[0].value.to_bits() == pair[1].value.to_bits()) {
        return vec![];
    }
    vec![Curve::new("learning_rate", "Learning rate", "update", "η").through(&rates)]
}
