//! The CPU backend: walk-kernels on dfdx's tape, and an evaluator that needs no tape.

mod evaluator;
mod executor;
mod image_ops;
mod machine;
mod ops;
mod plan;
mod schedule;
mod shapes;
mod tangents;
mod tensor_ops;
mod view;

use std::sync::Arc;

use dfdx::prelude::*;
use dfdx::tensor::{Cpu, Gradients};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_arch::{Activation, Network};
use walk_kernels::activation as kernel;
use walk_kernels::conv::{Algorithm, ConvShape};

use self::machine::SampleNorms;
use crate::backend::{At, Backend, Flat, Forward, Rows};
use crate::{CoreError, Evaluator, Loss};

/// How convolutions are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Convolution {
    /// By the fastest algorithm: Winograd's where it pays, which rounds more (docs/PERFORMANCE.md has the numbers).
    #[default]
    Fast,
    /// As plain sums of products.
    Plain,
}

impl Convolution {
    fn algorithm(self, shape: &ConvShape) -> Algorithm {
        match self {
            Self::Fast => Algorithm::fastest(shape),
            Self::Plain => Algorithm::plain(shape),
        }
    }
}

/// Runs networks on the CPU with fused kernels.
#[derive(Clone, Debug, Default)]
pub struct Fused {
    device: Cpu,
    convolution: Convolution,
}

impl Fused {
    /// A backend that computes convolutions as told.
    pub fn new(convolution: Convolution) -> Self {
        Self { device: Cpu::default(), convolution }
    }
}

impl Backend for Fused {
    type Device = Cpu;
    const NAME: &'static str = "cpu";

    fn device(&self) -> &Cpu {
        &self.device
    }

    fn forward<T: Tape<f32, Cpu>>(
        &self,
        at: At<'_, Cpu>,
        inputs: Rows<Cpu>,
    ) -> Result<Forward<Cpu, T>, CoreError> {
        Ok(executor::forward(self, at, inputs, None, None)?.0)
    }

    fn directional_losses<T: Tape<f32, Cpu>>(
        &self,
        at: At<'_, Cpu>,
        inputs: Rows<Cpu>,
        direction: &Flat<Cpu>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Flat<Cpu, T>, CoreError> {
        let (forward, tangent) = executor::forward::<T>(self, at, inputs, Some(direction), None)?;
        let (outputs, tape) = forward.outputs.split_tape();
        let tangent = tangent.expect("some layer has parameters, so the outputs move");
        tangents::losses(&self.device, outputs, tangent, tape, labels, loss)
    }

    fn losses<T: Tape<f32, Cpu>>(
        &self,
        outputs: Rows<Cpu, T>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Flat<Cpu, T>, CoreError> {
        ops::losses(&self.device, outputs, labels, loss)
    }

    fn sample_norms_sq(
        &self,
        at: At<'_, Cpu>,
        inputs: Rows<Cpu>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Vec<f64>, CoreError> {
        let norms = SampleNorms::new(labels.len());
        let outputs = executor::forward::<OwnedTape<f32, Cpu>>(self, at, inputs, None, Some(norms.clone()))?;
        let losses = ops::losses(&self.device, outputs.0.outputs, labels, loss)?;
        let sum = losses.try_sum::<Rank0, Axis<0>>().map_err(CoreError::device)?;
        sum.try_backward().map_err(CoreError::device)?;
        Ok(norms.take())
    }

    fn take_gradient(
        &self,
        mut gradients: Gradients<f32, Cpu>,
        theta: &Flat<Cpu>,
    ) -> Result<Vec<f32>, CoreError> {
        let buffer = gradients.get_or_alloc_mut(theta).map_err(CoreError::device)?;
        Ok(std::mem::take(&mut **buffer))
    }

    fn evaluator(&self, network: &Arc<Network>, loss: Loss) -> Box<dyn Evaluator> {
        Box::new(evaluator::FusedEvaluator::new(network.clone(), loss, self.convolution))
    }
}

/// walk-kernels' name for an activation.
pub(crate) fn kernel_activation(activation: Activation) -> kernel::Activation {
    match activation {
        Activation::Relu => kernel::Activation::Relu,
        Activation::LeakyRelu => kernel::Activation::LeakyRelu { slope: Activation::LEAKY_SLOPE },
        Activation::Gelu => kernel::Activation::Gelu,
        Activation::Silu => kernel::Activation::Silu,
        Activation::Tanh => kernel::Activation::Tanh,
        Activation::Sigmoid => kernel::Activation::Sigmoid,
    }
}
