//! Losses on the CPU without a tape: the calls of a plan made once, on reusable buffers.

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
use super::kernel_plan::{KernelCall, KernelPlan, Norm};
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
        range: std::ops::Range<usize>,
        mode: BatchNormMode,
    ) -> Result<ChunkResult, CoreError> {
        let rows = range.len();
        workspace.prepare(&self.plan.strides, rows);
        samples.fill(
            range.clone(),
            &mut workspace.buffers[0][..rows * self.plan.strides[0]],
            &mut workspace.labels,
        );
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
        self.calls.par_iter_mut().for_each(|call| match call {
            KernelCall::Linear { place, packed, .. } => {
                packed.pack(&point.params[place.weight.clone()], &point.params[place.bias.clone()]);
            }
            KernelCall::Conv { place, packed, .. } => {
                packed.pack(&point.params[place.weight.clone()], &point.params[place.bias.clone()]);
            }
            KernelCall::ScaleShift { place, packed, .. } => {
                *packed = [&place.weight, &place.bias].map(|range| point.params[range.clone()].to_vec());
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
            match call {
                KernelCall::Linear { from, to, packed, pieces, .. } => {
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    packed.forward(x, self.strides[*from] / pieces, rows * pieces, y);
                }
                KernelCall::Normalize { at, norm } => {
                    let values = &mut buffers[*at][..rows * self.strides[*at]];
                    normalizer(*norm, measured).apply_in_place(values, Threads::One);
                }
                KernelCall::Moments { at, columns } => {
                    if mode == BatchNormMode::Batch {
                        measured[*at].reset(*columns);
                        measured[*at].add(&buffers[*at][..rows * self.strides[*at]]);
                    }
                }
                KernelCall::Conv { from, to, packed, norm, write, moments, .. } => {
                    let norm = norm.map(|norm| normalizer(norm, measured));
                    let fusion = Fusion { norm: norm.as_ref(), write: *write };
                    let measure = *moments && mode == BatchNormMode::Batch;
                    let moments = measure.then(|| {
                        measured[*to].reset(packed.out_channels());
                        &mut measured[*to]
                    });
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    packed.forward(x, y, fusion, moments, scratch);
                }
                KernelCall::MaxPool { from, to, shape } => {
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    max_forward(shape, x, y);
                }
                KernelCall::AvgPool { from, to, shape } => {
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    avg_forward(shape, x, y);
                }
                KernelCall::Convert { from, to, image: [channels, pixels], order } => {
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    order.convert(*channels, *pixels, x, y);
                }
                KernelCall::Activation { at, activation } => {
                    activation.apply(&mut buffers[*at][..rows * self.strides[*at]]);
                }
                KernelCall::Trim { from, to, stride, len } => {
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    let pieces = x.chunks_exact(*stride).zip(y.chunks_exact_mut(*len));
                    pieces.for_each(|(x, y)| y.copy_from_slice(&x[..*len]));
                }
                KernelCall::Rearrange { from, to, rearrangement, write } => {
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    rearrangement.apply(x, y, *write);
                }
                KernelCall::Mul { from, to } => {
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    multiply(x, y);
                }
                KernelCall::Matmul { operands: [a, b], to, shape } => {
                    let mut y = std::mem::take(&mut buffers[*to]);
                    let part = |buffer: usize| &buffers[buffer][..rows * self.strides[buffer]];
                    shape.apply(part(*a), part(*b), &mut y[..rows * self.strides[*to]], Write::Replace);
                    buffers[*to] = y;
                }
                KernelCall::Softmax { at, len } => {
                    softmax(&mut buffers[*at][..rows * self.strides[*at]], *len);
                }
                KernelCall::Standardize { at, len, eps } => {
                    standardize(&mut buffers[*at][..rows * self.strides[*at]], *len, *eps);
                }
                KernelCall::ScaleShift { at, columns, packed: [scale, shift], .. } => {
                    columns.apply(&mut buffers[*at][..rows * self.strides[*at]], scale, shift);
                }
                KernelCall::Copy { from, to } => {
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    y.copy_from_slice(x);
                }
                KernelCall::Add { from, to } => {
                    let (from_stride, to_stride) = (self.strides[*from], self.strides[*to]);
                    let columns = from_stride.min(to_stride);
                    let [x, y] = self.values(buffers, rows, *from, *to);
                    let pairs = x.chunks_exact(from_stride).zip(y.chunks_exact_mut(to_stride));
                    pairs.for_each(|(x, y)| add(&x[..columns], &mut y[..columns]));
                }
            }
        }
    }

    /// The rows of two different buffers, one to read and one to write.
    fn values<'b>(
        &self,
        buffers: &'b mut [Vec<f32>],
        rows: usize,
        from: usize,
        to: usize,
    ) -> [&'b mut [f32]; 2] {
        let [x, y] = buffers.get_disjoint_mut([from, to]).expect("a call never reads what it writes");
        [&mut x[..rows * self.strides[from]], &mut y[..rows * self.strides[to]]]
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
        let (scale, shift, eps) = (self.packed.scale.as_slice(), self.packed.shift.as_slice(), self.eps);
        match mode {
            BatchNormMode::Batch => {
                let (mean, var) = (&measured.mean()[..], &measured.var()[..]);
                Normalizer::new(Normalization { mean, var, scale, shift, eps }, self.relu)
            }
            BatchNormMode::Running => {
                let (mean, var) = (self.packed.mean.as_slice(), self.packed.var.as_slice());
                Normalizer::new(Normalization { mean, var, scale, shift, eps }, self.relu)
            }
        }
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
