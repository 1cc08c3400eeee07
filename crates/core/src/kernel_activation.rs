//! walk-kernels' counterpart of a network's activation.

use walk_arch::Activation;
use walk_kernels::activation as kernel;

/// The kernel that computes an activation.
pub(crate) fn kernel_activation(activation: Activation) -> kernel::Activation {
    match activation {
        Activation::Relu => kernel::Activation::Relu,
        Activation::LeakyRelu => kernel::Activation::LeakyRelu { slope: Activation::LEAKY_SLOPE },
        Activation::Gelu => kernel::Activation::Gelu,
        Activation::Silu => kernel::Activation::Silu,
        Activation::Tanh => kernel::Activation::Tanh,
        Activation::Sigmoid => kernel::Activation::Sigmoid,
        Activation::Relu6 => kernel::Activation::Relu6,
        Activation::Elu => kernel::Activation::Elu,
        Activation::HardSwish => kernel::Activation::HardSwish,
    }
}
