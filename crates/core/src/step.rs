//! Counting updates.

/// A number of completed updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(pub u64);

impl Step {
    /// The number after one more update.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
