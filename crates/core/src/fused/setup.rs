//! Settings for running networks.

use dfdx::tensor::Cpu;

use super::Convolution;

/// Settings of a pass besides network, point and batch.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) device: Cpu,
    pub(super) convolution: Convolution,
    /// Maximum bytes of values and their gradients. Beyond that, some are recomputed in the reverse pass; the results are
    /// bitwise identical.
    pub(super) values_budget: usize,
}

/// 4 GiB
const VALUES_BUDGET: usize = 4 << 30;

impl Setup {
    pub(super) fn new(convolution: Convolution) -> Self {
        Self { device: Cpu::default(), convolution, values_budget: VALUES_BUDGET }
    }
}
