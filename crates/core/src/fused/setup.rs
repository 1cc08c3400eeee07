//! How the backend runs networks.

use dfdx::tensor::Cpu;

use super::Convolution;

/// What a pass needs besides network, point and batch.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) device: Cpu,
    pub(super) convolution: Convolution,
    /// Bytes that values and their gradients may take. Beyond that, some are computed again in the reverse pass; the results
    /// are the same to the bit.
    pub(super) values_budget: usize,
}

/// 4 GiB
const VALUES_BUDGET: usize = 4 << 30;

impl Setup {
    pub(super) fn new(convolution: Convolution) -> Self {
        Self { device: Cpu::default(), convolution, values_budget: VALUES_BUDGET }
    }
}
