//! Batch norm, with the ReLU after it if fused; also as a part of the convolutions that read it.

use std::ops::Range;

use walk_arch::{LayerBuffers, LayerParams, Network, Op};
use walk_kernels::batch_norm::{
    self as kernel, Moments, NormBackward, NormDirection, Normalization, Normalizer, TangentGradients,
};
use walk_kernels::memory::zeros;
use walk_kernels::rows::Threads;
use walk_kernels::scale_shift::{Columns, Trained};

use super::super::fusion::FusedNorm;
use super::{
    Call, ChannelOrder, Direction, FusedLayer, Inputs, Layout, Measured, Operand, Output, Parameters, Pass,
    Recorder, Value, params, values,
};
use crate::backend::BatchStatistics;
use crate::{BatchNormMode, CoreError, Point};

/// Of values whose last dimension is the channel: vectors, or images with channels last.
pub(super) struct BatchNorm {
    layer: usize,
    params: LayerParams,
    buffers: LayerBuffers,
    eps: f32,
    relu: bool,
    /// Whether its values are vectors, which may be padded.
    of_vectors: bool,
    packed: PackedNorm,
}

/// Parameters and running statistics of a point.
#[derive(Default)]
struct PackedNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    mean: Vec<f32>,
    var: Vec<f32>,
}

impl BatchNorm {
    pub(super) fn new(network: &Network, FusedNorm { layer: index, relu }: FusedNorm) -> Self {
        let layer = &network.layers()[index];
        let Op::BatchNorm(options) = &layer.op else { unreachable!("only called for batch norms") };
        let buffers = layer.buffers.clone().expect("a norm has buffers");
        let of_vectors = layer.shape.len() == 1;
        let (params, eps, packed) = (params(layer), options.eps, PackedNorm::default());
        Self { layer: index, params, buffers, eps, relu, of_vectors, packed }
    }

    /// As applied in an evaluation to the values of `rows` samples.
    pub(super) fn normalizer(
        &self,
        mode: BatchNormMode,
        values: &[f32],
        rows: usize,
        measured: &mut Measured,
    ) -> Normalizer {
        let features = self.params.weight.len();
        let columns = if self.of_vectors { values.len() / rows } else { features };
        let padded = |values: &[f32]| {
            let mut values = values.to_vec();
            values.resize(columns, 0.0);
            values
        };
        let PackedNorm { scale, shift, mean, var } = &self.packed;
        let (mean, var) = match mode {
            BatchNormMode::Batch => {
                let moments = measured.of(values, columns);
                (moments.mean(), moments.var())
            }
            BatchNormMode::Running => (padded(mean), padded(var)),
        };
        let (scale, shift) = (&padded(scale), &padded(shift));
        Normalizer::new(Normalization { mean: &mean, var: &var, scale, shift, eps: self.eps }, self.relu)
    }

    /// As applied in a pass to `x`, which is measured here if the statistics are the batch's and not yet known.
    pub(super) fn in_pass(&self, pass: &mut Pass<'_>, x: &Value) -> NormUse {
        let of_batch = pass.at.mode == BatchNormMode::Batch;
        let statistics = if of_batch {
            pass.statistics(self.layer, || {
                let channels = self.params.weight.len();
                let measure = || statistics(&Moments::of(x.operand.values(), channels, Threads::All));
                x.statistics.clone().unwrap_or_else(measure)
            })
        } else {
            let buffer = |range: &Range<usize>| pass.at.buffers[range.clone()].to_vec();
            BatchStatistics { mean: buffer(&self.buffers.mean), var: buffer(&self.buffers.var), count: 0 }
        };
        let theta = pass.parameters(&self.params);
        NormUse { theta, eps: self.eps, statistics, of_batch, relu: self.relu }
    }
}

impl FusedLayer for BatchNorm {
    fn layout(&self) -> Layout {
        Layout { order: Some(ChannelOrder::ChannelsLast), padded: true, output: Output::Over(0) }
    }

    fn pack(&mut self, point: &Point) {
        let [scale, shift] = values(point, &self.params).map(<[f32]>::to_vec);
        let buffer = |range: &Range<usize>| point.buffers[range.clone()].to_vec();
        let (mean, var) = (buffer(&self.buffers.mean), buffer(&self.buffers.var));
        self.packed = PackedNorm { scale, shift, mean, var };
    }

    fn evaluate(&self, Call { rows, mode, y, input, .. }: Call<'_>) {
        self.normalizer(mode, y, rows, input).apply_in_place(y, Threads::One);
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let x = inputs.one();
        let norm = self.in_pass(pass, &x);
        let y = norm.record(&mut pass.tape, x.operand.clone())?;
        let tangent = pass.tangent(x, &self.params, |tape, along| norm.record_tangent(tape, along))?;
        Ok(Value::new(y, tangent))
    }
}

/// Moments in the form that a backend reports.
pub(super) fn statistics(moments: &Moments) -> BatchStatistics {
    BatchStatistics { mean: moments.mean(), var: moments.var(), count: moments.count() }
}

/// A batch norm as it is applied in a pass.
#[derive(Clone)]
pub(super) struct NormUse {
    /// γ and β.
    pub(super) theta: Parameters,
    eps: f32,
    /// Mean and variance to use.
    statistics: BatchStatistics,
    /// Whether they are the batch's, functions of the values.
    of_batch: bool,
    relu: bool,
}

impl NormUse {
    fn normalization(&self) -> Normalization<'_> {
        let BatchStatistics { mean, var, .. } = &self.statistics;
        let (scale, shift) = (self.theta.weight(), self.theta.bias());
        Normalization { mean, var, scale, shift, eps: self.eps }
    }

    pub(super) fn normalizer(&self) -> Normalizer {
        Normalizer::new(self.normalization(), self.relu)
    }

    pub(super) fn backward(&self) -> NormBackward {
        NormBackward::new(self.normalization(), self.relu, self.of_batch)
    }

    /// (x - μ) / √(σ² + ε)
    fn standardized(&self, x: &[f32]) -> Vec<f32> {
        let BatchStatistics { mean, var, .. } = &self.statistics;
        let (ones, none) = (vec![1.0; mean.len()], vec![0.0; mean.len()]);
        let plain = Normalization { mean, var, scale: &ones, shift: &none, eps: self.eps };
        let mut hat = zeros(x.len());
        Normalizer::new(plain, false).apply_parallel(x, &mut hat);
        hat
    }

    fn record(&self, tape: &mut Recorder<'_>, x: Operand) -> Result<Operand, CoreError> {
        let mut y = zeros(x.len());
        self.normalizer().apply_parallel(x.values(), &mut y);
        let (norm, norms) = (self.clone(), tape.norms.clone());
        tape.record(y, x.samples(), move |mut dy, spent, grads| {
            if let Some(norms) = &norms {
                let hat = norm.standardized(x.values());
                let columns = Columns { columns: norm.theta.weight().len(), inner: 1 };
                norms.update(|norms| {
                    columns.add_sample_norms_sq(&hat, &dy, Trained { scale: true, shift: true }, norms)
                });
            }
            let before = x.grad.as_ref().map(|slot| slot.take()).unwrap_or_default();
            let sums = kernel::backward(&norm.backward(), x.values(), &mut dy, &before);
            if norms.is_none() {
                let [scale, shift] = norm.theta.gradients(grads)?;
                sums.add_to(scale, shift);
            }
            match &x.grad {
                Some(slot) => slot.replace(dy),
                None => spent.give(dy),
            }
            Ok(())
        })
    }

    /// ẏ (see [`NormDirection`]) with the statistics that the values were computed with.
    fn record_tangent(self, tape: &mut Recorder<'_>, along: Direction) -> Result<Operand, CoreError> {
        let mut y = zeros(along.x.len());
        let tangent = self.along(&along).forward(&mut y);
        tape.record(y, along.x.samples(), move |p, spent, grads| {
            let Direction { x, dot_x, theta, .. } = &along;
            let [scale, _] = theta.gradients(grads)?;
            let mut grad_x = spent.take(p.len());
            let mut grad_dot_x = dot_x.as_ref().map(|_| spent.take(p.len())).unwrap_or_default();
            let gradients = TangentGradients { x: &mut grad_x, dot_x: &mut grad_dot_x, scale };
            self.along(&along).backward(&tangent, &p, gradients);
            x.add_gradient(grad_x, spent);
            if let Some(dot_x) = dot_x {
                dot_x.add_gradient(grad_dot_x, spent);
            }
            spent.give(p);
            Ok(())
        })
    }

    fn along<'a>(&'a self, direction: &'a Direction) -> NormDirection<'a> {
        NormDirection {
            x: direction.x.values(),
            dot_x: direction.dot_x.as_ref().map_or(&[], Operand::values),
            norm: self.normalization(),
            dot_scale: direction.v.weight(),
            dot_shift: direction.v.bias(),
            batch_statistics: self.of_batch,
        }
    }
}
