//! Where in a run something was recorded.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Where in a run a row was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1; 0 before the epoch's first update.
    pub iteration: u32,
    /// Number of updates so far, including this one.
    pub step: u64,
}

/// The contents of a row, and where it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Stamped<'a, T> {
    /// Where.
    pub at: Stamp,
    /// What.
    pub row: &'a T,
}

impl<T> Deref for Stamped<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.row
    }
}
