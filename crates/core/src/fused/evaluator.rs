//! Losses on the CPU without a tape: the calls of a plan made once, on reusable buffers.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use walk_arch::Network;
use walk_kernels::batch_norm::{Moments, Normalization, Normalizer};
use walk_kernels::conv::{Fusion, Scratch};
use walk_kernels::elementwise::{add, multiply};
use walk_kernels::matmul::Write;
use walk_kernels::pool::{avg_forward, max_forward};
use walk_kernels::rows::Threads;
use walk_kernels::softmax::softmax;
use walk_kernels::standardize::standardize;

use super::Convolution;
use super::kernel_plan::{Kernel, KernelPlan, Norm, PackedNorm};
use crate::evaluate::{ChunkResult, check_evaluation, check_labels, chunk_range};
use crate::{BatchNormMode, CoreError, Evaluation, Evaluator, Loss, Point, Samples};

/// Evaluates chunks in parallel, each on one thread; a chunk's result does not depend on the others.
pub(super) struct FusedEvaluator {
    network: Arc<Network>,
    loss: Loss,
    plan: KernelPlan,
    workspaces: Mutex<Vec<Workspace>>,
}

/// One thread's buffers.
#[derive(Default)]
struct Workspace {
    buffers: Vec<Vec<f32>>,
    labels: Vec<usize>,
    /// By buffer, the moments of its channels if a norm needs them.
    moments: Vec<Moments>,
    scratch: Scratch,
}

impl FusedEvaluator {
    pub(super) fn new(network: Arc<Network>, loss: Loss, convolution: Convolution) -> Self {
        let plan = KernelPlan::new(&network, convolution);
        Self { network, loss, plan, workspaces: Mutex::new(vec![]) }
    }

    fn chunk(
        &self,
        workspace: &mut Workspace,
        samples: &dyn Samples,
        range: Range<usize>,
        mode: BatchNormMode,
    ) -> Result<ChunkResult, CoreError> {
        let rows = range.len();
        workspace.prepare(&self.plan.strides, rows);
        let inputs = &mut workspace.buffers[0][..rows * self.plan.strides[0]];
        samples.fill(range.clone(), inputs, &mut workspace.labels);
        let classes = self.network.problem().classes;
        check_labels(&workspace.labels, classes, range.start)?;
        self.plan.run(workspace, rows, mode);
        let stride = self.plan.strides[self.plan.output];
        let outputs = workspace.buffers[self.plan.output].chunks_exact(stride).zip(&workspace.labels);
        let mut result = ChunkResult::default();
        for (row, &label) in outputs {
            let row = &row[..classes];
            result.add(row, label, self.loss.value(row, label));
        }
        Ok(result)
    }
}

impl Evaluator for FusedEvaluator {
    fn evaluate(
        &mut self,
        point: &Point,
        samples: &dyn Samples,
        chunk: usize,
        mode: BatchNormMode,
    ) -> Result<Evaluation, CoreError> {
        check_evaluation(&self.network, point, samples, chunk)?;
        self.plan.pack(point);
        let this = &*self;
        let chunks: Result<Vec<ChunkResult>, CoreError> = (0..samples.len().div_ceil(chunk))
            .into_par_iter()
            .map(|index| {
                let pool = || this.workspaces.lock().expect("no holder of this lock panics");
                let mut workspace = pool().pop().unwrap_or_default();
                let range = chunk_range(index, chunk, samples.len());
                let result = this.chunk(&mut workspace, samples, range, mode);
                pool().push(workspace);
                result
            })
            .collect();
        Ok(Evaluation { chunks: chunks?, samples: samples.len() })
    }
}

impl KernelPlan {
    /// Lays out the parameters of `point` for the kernels.
    fn pack(&mut self, point: &Point) {
        let range = |range: &Range<usize>| &point.params[range.clone()];
        self.calls.par_iter_mut().for_each(|call| match &mut call.kernel {
            Kernel::Linear { place, packed, .. } => packed.pack(range(&place.weight), range(&place.bias)),
            Kernel::Conv { place, packed, .. } => packed.pack(range(&place.weight), range(&place.bias)),
            Kernel::ScaleShift { place, packed, .. } => {
                *packed = [range(&place.weight).to_vec(), range(&place.bias).to_vec()];
            }
            _ => {}
        });
        self.norms.iter_mut().for_each(|norm| norm.pack(point));
    }

    fn run(&self, workspace: &mut Workspace, rows: usize, mode: BatchNormMode) {
        let Workspace { buffers, moments: measured, scratch, .. } = workspace;
        let normalizer = |norm: usize, measured: &[Moments]| {
            let norm = &self.norms[norm];
            norm.normalizer(&measured[norm.at], mode)
        };
        for call in &self.calls {
            // a call never reads what it writes
            let mut written = std::mem::take(&mut buffers[call.to]);
            let y = &mut written[..rows * self.strides[call.to]];
            let read = |n: usize| &buffers[call.from[n]][..rows * self.strides[call.from[n]]];
            match &call.kernel {
                Kernel::Linear { packed, pieces, .. } => {
                    packed.forward(read(0), self.strides[call.from[0]] / pieces, rows * pieces, y);
                }
                Kernel::Normalize { norm } => {
                    normalizer(*norm, measured).apply_in_place(y, Threads::One);
                }
                Kernel::Moments { columns } => {
                    if mode == BatchNormMode::Batch {
                        measured[call.to].reset(*columns);
                        measured[call.to].add(y);
                    }
                }
                Kernel::Conv { packed, norm, write, moments, .. } => {
                    let norm = norm.map(|norm| normalizer(norm, measured));
                    let fusion = Fusion { norm: norm.as_ref(), write: *write };
                    let measure = *moments && mode == BatchNormMode::Batch;
                    let moments = measure.then(|| {
                        measured[call.to].reset(packed.out_channels());
                        &mut measured[call.to]
                    });
                    packed.forward(read(0), y, fusion, moments, scratch);
                }
                Kernel::MaxPool(shape) => max_forward(shape, read(0), y),
                Kernel::AvgPool(shape) => avg_forward(shape, read(0), y),
                Kernel::Convert { image: [channels, pixels], order } => {
                    order.convert(*channels, *pixels, read(0), y);
                }
                Kernel::Activation(activation) => activation.apply(y),
                Kernel::Trim { stride, len } => {
                    let pieces = read(0).chunks_exact(*stride).zip(y.chunks_exact_mut(*len));
                    pieces.for_each(|(x, y)| y.copy_from_slice(&x[..*len]));
                }
                Kernel::Rearrange { rearrangement, write } => rearrangement.apply(read(0), y, *write),
                Kernel::Mul => multiply(read(0), y),
                Kernel::Matmul(shape) => shape.apply(read(0), read(1), y, Write::Replace),
                Kernel::Softmax { len } => softmax(y, *len),
                Kernel::Standardize { len, eps } => {
                    standardize(y, *len, *eps);
                }
                Kernel::ScaleShift { columns, packed: [scale, shift], .. } => columns.apply(y, scale, shift),
                Kernel::Copy => y.copy_from_slice(read(0)),
                Kernel::Add => {
                    let (from_stride, to_stride) = (self.strides[call.from[0]], self.strides[call.to]);
                    let columns = from_stride.min(to_stride);
                    let pairs = read(0).chunks_exact(from_stride).zip(y.chunks_exact_mut(to_stride));
                    pairs.for_each(|(x, y)| add(&x[..columns], &mut y[..columns]));
                }
            }
            buffers[call.to] = written;
        }
    }
}

impl Norm {
    fn pack(&mut self, point: &Point) {
        let (place, buffers, packed) = (&self.place, &self.buffers, &mut self.packed);
        let features = place.weight.len();
        packed.scale[..features].copy_from_slice(&point.params[place.weight.clone()]);
        packed.shift[..features].copy_from_slice(&point.params[place.bias.clone()]);
        packed.mean[..features].copy_from_slice(&point.buffers[buffers.mean.clone()]);
        packed.var[..features].copy_from_slice(&point.buffers[buffers.var.clone()]);
    }

    fn normalizer(&self, measured: &Moments, mode: BatchNormMode) -> Normalizer {
        let PackedNorm { scale, shift, mean, var } = &self.packed;
        let (mean, var) = match mode {
            BatchNormMode::Batch => (&measured.mean(), &measured.var()),
            BatchNormMode::Running => (mean, var),
        };
        Normalizer::new(Normalization { mean, var, scale, shift, eps: self.eps }, self.relu)
    }
}

impl Workspace {
    /// Makes room for `rows` rows; buffers grow and are kept.
    fn prepare(&mut self, strides: &[usize], rows: usize) {
        self.buffers.resize_with(strides.len(), Vec::new);
        for (buffer, stride) in self.buffers.iter_mut().zip(strides) {
            if buffer.len() < rows * stride {
                buffer.resize(rows * stride, 0.0);
            }
        }
        self.labels.resize(rows, 0);
        self.moments.resize_with(strides.len(), Moments::default);
    }
}
