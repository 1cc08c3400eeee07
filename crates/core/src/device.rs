//! The devices by name.

use std::sync::Arc;

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
pub fn backend_for(device: DeviceName, convolution: Convolution) -> Option<Arc<dyn Backend>> {
    match device {
        DeviceName::Cpu => Some(Arc::new(Fused::new(convolution))),
        DeviceName::CpuComposite => Some(Arc::new(Composite::<Cpu>::default())),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => Some(Arc::new(Composite::<crate::Cuda>::default())),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda => None,
    }
}
