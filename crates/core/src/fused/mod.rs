//! The CPU backend: walk-kernels on dfdx's tape, and an evaluator that needs no tape.

mod channel_order;
mod convolution;
mod cost;
mod evaluator;
mod forward;
mod fusion;
mod layer;
mod layers;
mod losses;
mod parameters;
mod pass;
mod plan;
mod segments;
mod setup;
mod tape;
mod view;

use std::sync::Arc;

use dfdx::prelude::*;
use dfdx::tensor::{Cpu, Gradients};
use walk_arch::Network;

pub use self::convolution::Convolution;
pub use self::cost::LeastProducts;
use self::fusion::FusionGroup;
use self::plan::Plan;
use self::segments::Segments;
use self::setup::Setup;
use self::tape::SampleNorms;
use crate::backend::PassKind;
use crate::tensors::{At, Flat, Forward, OutputsAndTangent, Rows, TensorBackend};
use crate::{CoreError, Evaluator, Loss};

/// Runs networks on the CPU with fused kernels.
#[derive(Clone, Debug)]
pub struct Fused(Setup);

impl Default for Fused {
    fn default() -> Self {
        Self::new(Convolution::default())
    }
}

impl Fused {
    /// A backend with the given choice of convolution algorithms.
    pub fn new(convolution: Convolution) -> Self {
        Self(Setup::new(convolution))
    }

    /// With a memory budget for values, in bytes.
    #[cfg(test)]
    pub(crate) fn within(values_budget: usize) -> Self {
        Self(Setup { values_budget, ..Setup::new(Convolution::default()) })
    }
}

impl TensorBackend for Fused {
    type Device = Cpu;
    const NAME: &'static str = "cpu";

    fn device(&self) -> &Cpu {
        &self.0.device
    }

    fn forward<T: Tape<f32, Cpu>>(
        &self,
        at: At<'_, Cpu>,
        inputs: Rows<Cpu>,
    ) -> Result<Forward<Cpu, T>, CoreError> {
        Ok(forward::forward(&self.0, at, inputs, None, None)?.forward)
    }

    fn directional_forward<T: Tape<f32, Cpu>>(
        &self,
        at: At<'_, Cpu>,
        inputs: Rows<Cpu>,
        direction: &Flat<Cpu>,
    ) -> Result<OutputsAndTangent<Cpu, T>, CoreError> {
        Ok(forward::forward::<T>(&self.0, at, inputs, Some(direction), None)?.along_direction())
    }

    fn directional_losses<T: Tape<f32, Cpu>>(
        &self,
        outputs: OutputsAndTangent<Cpu, T>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Flat<Cpu, T>, CoreError> {
        let OutputsAndTangent { outputs, tangent } = outputs;
        losses::directional(&self.0.device, outputs, tangent, labels, loss)
    }

    fn losses<T: Tape<f32, Cpu>>(
        &self,
        outputs: Rows<Cpu, T>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Flat<Cpu, T>, CoreError> {
        losses::losses(&self.0.device, outputs, labels, loss)
    }

    fn sample_norms_sq(
        &self,
        at: At<'_, Cpu>,
        inputs: Rows<Cpu>,
        labels: &[usize],
        loss: Loss,
    ) -> Result<Vec<f64>, CoreError> {
        let norms = SampleNorms::new(labels.len());
        let outputs =
            forward::forward::<OwnedTape<f32, Cpu>>(&self.0, at, inputs, None, Some(norms.clone()))?;
        let losses = losses::losses(&self.0.device, outputs.forward.outputs, labels, loss)?;
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
        Box::new(evaluator::FusedEvaluator::new(network.clone(), loss, self.0.convolution))
    }

    fn bytes(&self, network: &Network, pass: PassKind, samples: usize) -> Option<usize> {
        let row = samples * size_of::<f32>();
        let kept = |groups: &[FusionGroup], unit: usize| {
            Segments::within(self.0.values_budget, network, groups, unit).bytes
        };
        Some(match pass {
            PassKind::Evaluation => {
                Plan::new(network, self.0.convolution).strides.iter().sum::<usize>() * row
            }
            PassKind::Gradient => kept(&fusion::fused(network), row),
            PassKind::HessianVector => kept(&fusion::unfused(network), 2 * row),
        })
    }
}
