//! Losses on the CPU without a tape: the steps of a plan made once, on reusable buffers.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use walk_arch::Network;

use super::Convolution;
use super::layer::{Call, LayerScratch, Measured};
use super::plan::{Plan, Work};
use crate::evaluate::{ChunkResult, check_evaluation, check_labels, chunk_range};
use crate::{BatchNormMode, CoreError, Evaluation, Evaluator, Loss, Point, Samples};

/// Evaluates chunks in parallel, each on one thread; a chunk's result does not depend on the others.
pub(super) struct FusedEvaluator {
    network: Arc<Network>,
    loss: Loss,
    plan: Plan,
    workspaces: Mutex<Vec<Workspace>>,
}

/// One thread's buffers.
#[derive(Default)]
struct Workspace {
    buffers: Vec<Vec<f32>>,
    labels: Vec<usize>,
    /// By buffer, what is known about its channels.
    measured: Vec<Measured>,
    /// For the output of the step that runs.
    spare: Measured,
    scratch: LayerScratch,
}

impl FusedEvaluator {
    pub(super) fn new(network: Arc<Network>, loss: Loss, convolution: Convolution) -> Self {
        let plan = Plan::new(&network, convolution);
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

impl Plan {
    /// Lays out the parameters of `point` for the layers.
    fn pack(&mut self, point: &Point) {
        self.steps.par_iter_mut().for_each(|step| {
            if let Work::Layer(layer) = &mut step.work {
                layer.pack(point);
            }
        });
    }

    fn run(&self, workspace: &mut Workspace, rows: usize, mode: BatchNormMode) {
        let Workspace { buffers, measured, spare, scratch, .. } = workspace;
        for step in &self.steps {
            let mut written = std::mem::take(&mut buffers[step.to]);
            let y = &mut written[..rows * self.strides[step.to]];
            let read = |n: usize| match step.from.get(n) {
                Some(&from) if from != step.to => &buffers[from][..rows * self.strides[from]],
                _ => &[],
            };
            match &step.work {
                Work::Layer(layer) => {
                    let mut input = std::mem::take(&mut measured[step.from[0]]);
                    spare.forget();
                    let x = [read(0), read(1)];
                    layer.evaluate(Call { rows, mode, x, y, input: &mut input, output: spare, scratch });
                    measured[step.from[0]] = input;
                    std::mem::swap(&mut measured[step.to], spare);
                }
                Work::Convert { image: [channels, pixels], order } => {
                    order.convert(*channels, *pixels, read(0), y);
                    measured[step.to].forget();
                }
                Work::Copy => {
                    let (from, to) = (self.strides[step.from[0]], self.strides[step.to]);
                    let pairs = read(0).chunks_exact(from).zip(y.chunks_exact_mut(to));
                    pairs.for_each(|(x, y)| y.copy_from_slice(&x[..to]));
                    measured[step.to].forget();
                }
            }
            buffers[step.to] = written;
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
        self.measured.resize_with(strides.len(), Measured::default);
        self.measured[0].forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::fusion::{for_evaluation, fused};
    use crate::test_support::{BatchSamples, pooled_network};

    #[test]
    fn pooling_before_a_norm_changes_no_bit() {
        let network = Arc::new(pooled_network());
        let name = |index: usize| network.layers()[index].name.as_str();
        let groups = for_evaluation(&network);
        let made: Vec<(&str, &str)> =
            groups.iter().map(|group| (name(group.layer), name(group.wire.value))).collect();
        // pool3 stays: its reader is not a convolution
        let first = [("conv1", "pool1"), ("conv2", "pool2"), ("conv3", "conv3"), ("bn3", "act3")];
        assert_eq!(made, [&first[..], &[("pool3", "pool3"), ("flat", "flat"), ("fc", "fc")]].concat());
        let losses = |plan: Plan, mode: BatchNormMode| {
            let mut evaluator =
                FusedEvaluator::new(network.clone(), Loss::CrossEntropy, Convolution::default());
            evaluator.plan = plan;
            // norms that reverse the order of values
            let number = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 50.0;
            let params = (0..network.n_params()).map(number).collect();
            let buffers = (0..network.n_buffers()).map(|i| 0.1 + number(i).abs()).collect();
            let samples = BatchSamples::random(&network, 23);
            let evaluation = evaluator.evaluate(&Point { params, buffers }, &samples, 10, mode).unwrap();
            evaluation.chunks.iter().map(ChunkResult::loss_sum).collect::<Vec<f64>>()
        };
        for mode in [BatchNormMode::Batch, BatchNormMode::Running] {
            let plain = Plan::of(&network, &fused(&network), Convolution::default());
            let pooled = Plan::new(&network, Convolution::default());
            let (plain, pooled) = (losses(plain, mode), losses(pooled, mode));
            assert!(plain.iter().all(|loss| loss.is_finite()));
            assert_eq!(plain, pooled);
        }
    }
}
