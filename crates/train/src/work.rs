//! Amounts of computation.

/// Numbers of samples for which something is computed, including repetitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Losses.
    pub evaluated: usize,
    /// Gradients.
    pub differentiated: usize,
    /// Hessian-vector products.
    pub multiplied: usize,
    /// The maximum number of samples computed at once.
    pub at_once: usize,
}

impl Work {
    /// This number of losses, in chunks of `at_once`.
    pub(crate) fn losses(evaluated: usize, at_once: usize) -> Self {
        Self { evaluated, at_once, ..Self::default() }
    }

    /// The same work `n` times.
    #[must_use]
    pub fn times(self, n: usize) -> Self {
        let Self { evaluated, differentiated, multiplied, at_once } = self;
        let times = |count: usize| count.saturating_mul(n);
        Self {
            evaluated: times(evaluated),
            differentiated: times(differentiated),
            multiplied: times(multiplied),
            at_once,
        }
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            evaluated: self.evaluated.saturating_add(other.evaluated),
            differentiated: self.differentiated.saturating_add(other.differentiated),
            multiplied: self.multiplied.saturating_add(other.multiplied),
            at_once: self.at_once.max(other.at_once),
        }
    }

    /// In units of one sample's loss, for a progress bar: a gradient takes about four times as long, a Hessian-vector product
    /// ten times.
    pub fn weight(self) -> usize {
        let [gradients, products] =
            [self.differentiated.saturating_mul(4), self.multiplied.saturating_mul(10)];
        self.evaluated.saturating_add(gradients).saturating_add(products)
    }
}
