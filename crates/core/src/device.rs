//! The devices by name.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Backend, Composite, Convolution, Cpu, Fused};

/// The device that networks run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceName {
    /// Fused kernels on the CPU.
    #[default]
    Cpu,
    /// dfdx's operations on the CPU: slow, a reference for the fused kernels.
    CpuComposite,
    /// dfdx's operations on an NVIDIA GPU: requires the program built by `scripts/build_cuda.sh`, and has not been run on a GPU.
    Cuda,
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The feature `cuda` is off.
    #[error("this program was built without CUDA")]
    WithoutCuda,
    /// The driver's message, for instance that there is no GPU.
    #[error("CUDA cannot be used: {0}")]
    Unusable(String),
}

/// The device of that name.
///
/// # Errors
///
/// If `device` is `Cuda`, and this program was built without CUDA or there is no usable GPU.
pub fn backend_for(device: DeviceName, convolution: Convolution) -> Result<Rc<dyn Backend>, DeviceError> {
    match device {
        DeviceName::Cpu => Ok(Rc::new(Fused::new(convolution))),
        DeviceName::CpuComposite => Ok(Rc::new(Composite::<Cpu>::default())),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => Ok(Rc::new(Composite::new(gpu()?))),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda => Err(DeviceError::WithoutCuda),
    }
}

/// The first GPU.
#[cfg(feature = "cuda")]
fn gpu() -> Result<crate::Cuda, DeviceError> {
    // dfdx would panic if this failed
    cudarc::driver::result::init().map_err(|error| DeviceError::Unusable(error.to_string()))?;
    crate::Cuda::try_build(0, 0).map_err(|error| DeviceError::Unusable(format!("{error:?}")))
}
