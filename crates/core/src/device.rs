//! The devices by name.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Backend, Composite, Convolution, Cpu, Fused};

/// Where networks run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceName {
    /// Fused kernels on the processor.
    #[default]
    Cpu,
    /// dfdx's operations on the processor: slow, to check the fused kernels against.
    CpuComposite,
    /// dfdx's operations on an NVIDIA GPU: needs `--features cuda`, and has not been run on a GPU.
    Cuda,
}

/// The device of that name; `None` if this program was built without it.
pub fn backend_for(device: DeviceName, convolution: Convolution) -> Option<Rc<dyn Backend>> {
    match device {
        DeviceName::Cpu => Some(Rc::new(Fused::new(convolution))),
        DeviceName::CpuComposite => Some(Rc::new(Composite::<Cpu>::default())),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => Some(Rc::new(Composite::<crate::Cuda>::default())),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda => None,
    }
}
