//! Every layer as a composition of stable dfdx operations, for any dfdx device; the fused kernels are tested against it.
//! Images have channels first, as in PyTorch.

mod evaluator;
mod image;
mod layers;
mod number;
mod pass;
mod reference;
mod tangents;
mod tensor_layers;

use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::Network;

pub(crate) use self::evaluator::CompositeEvaluator;
pub use self::reference::Reference;

use crate::tensors::{At, Flat, Forward, OutputsAndTangent, Rows, TensorBackend};
use crate::{CoreError, Evaluator, Loss};

/// Runs networks on any dfdx device as compositions of its operations.
#[derive(Clone, Debug, Default)]
pub struct Composite<D> {
    device: D,
}

impl<D> Composite<D> {
    /// A backend on `device`.
    pub fn new(device: D) -> Self {
        Self { device }
    }
}

/// The implementation is the same on every device; only the name differs.
macro_rules! composite_backend {
    ($device:ty, $name:literal) => {
        impl TensorBackend for Composite<$device> {
            type Device = $device;
            const NAME: &'static str = $name;

            fn device(&self) -> &$device {
                &self.device
            }

            fn forward<T: Tape<f32, $device>>(
                &self,
                at: At<'_, $device>,
                inputs: Rows<$device>,
            ) -> Result<Forward<$device, T>, CoreError> {
                Ok(pass::forward(&self.device, at, inputs, None)?.forward)
            }

            fn directional_forward<T: Tape<f32, $device>>(
                &self,
                at: At<'_, $device>,
                inputs: Rows<$device>,
                direction: &Flat<$device>,
            ) -> Result<OutputsAndTangent<$device, T>, CoreError> {
                let passed = pass::forward::<f32, _, T>(&self.device, at, inputs, Some(direction))?;
                Ok(passed.along_direction())
            }

            fn directional_losses<T: Tape<f32, $device>>(
                &self,
                outputs: OutputsAndTangent<$device, T>,
                labels: &[usize],
                loss: Loss,
            ) -> Result<Flat<$device, T>, CoreError> {
                let OutputsAndTangent { outputs, tangent } = outputs;
                tangents::losses(&self.device, outputs, tangent, labels, loss).map_err(CoreError::device)
            }

            fn losses<T: Tape<f32, $device>>(
                &self,
                outputs: Rows<$device, T>,
                labels: &[usize],
                loss: Loss,
            ) -> Result<Flat<$device, T>, CoreError> {
                layers::losses(&self.device, outputs, labels, loss).map_err(CoreError::device)
            }

            fn evaluator(&self, network: &Arc<Network>, loss: Loss) -> Box<dyn Evaluator> {
                let device = self.device.clone();
                Box::new(CompositeEvaluator::<f32, _>::new(device, network.clone(), loss))
            }
        }
    };
}

composite_backend!(Cpu, "cpu, composite");
#[cfg(feature = "cuda")]
composite_backend!(Cuda, "cuda");
