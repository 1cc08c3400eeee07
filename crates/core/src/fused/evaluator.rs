//! Losses on the CPU without a tape: kernels over workspaces that are planned once.

use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use walk_arch::{LayerBuffers, LayerParams, Network, Op};
use walk_kernels::activation::Activation;
use walk_kernels::batch_norm::{Normalization, moments, normalize};
use walk_kernels::elementwise::add;
use walk_kernels::linear::{LinearShape, PackedLinear};

use super::kernel_activation;
use crate::evaluate::{ChunkResult, check_evaluation, check_labels, chunk_range};
use crate::{BatchNormMode, CoreError, Evaluation, Evaluator, Loss, Point, Samples};

/// Evaluates chunks in parallel, each on one thread: what a chunk yields does not depend on the others.
pub(super) struct FusedEvaluator {
    network: Arc<Network>,
    loss: Loss,
    plan: Plan,
    workspaces: Mutex<Vec<Workspace>>,
}

/// The network as a list of kernel calls on numbered buffers.
struct Plan {
    steps: Vec<Step>,
    /// Row stride of each buffer.
    strides: Vec<usize>,
    output: usize,
}

/// One kernel call. Parameters are taken over anew at every point.
enum Step {
    Linear {
        from: usize,
        to: usize,
        place: LayerParams,
        packed: PackedLinear,
    },
    BatchNorm {
        at: usize,
        place: LayerParams,
        buffers: LayerBuffers,
        eps: f32,
        relu: bool,
        packed: PackedNorm,
    },
    Activation {
        at: usize,
        activation: Activation,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Add {
        from: usize,
        to: usize,
    },
}

/// A norm's parameters and running statistics, padded with zeros to the row stride.
#[derive(Default)]
struct PackedNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    mean: Vec<f32>,
    var: Vec<f32>,
}

/// One thread's buffers.
#[derive(Default)]
struct Workspace {
    buffers: Vec<Vec<f32>>,
    labels: Vec<usize>,
    mean: Vec<f32>,
    var: Vec<f32>,
}

impl FusedEvaluator {
    pub(super) fn new(network: Arc<Network>, loss: Loss) -> Self {
        let plan = Plan::new(&network);
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

impl Plan {
    fn new(network: &Network) -> Self {
        let layers = network.layers();
        let mut uses = vec![0usize; layers.len()];
        layers.iter().flat_map(|layer| &layer.inputs).for_each(|&input| uses[input] += 1);
        let mut plan = Self { steps: vec![], strides: vec![], output: 0 };
        // where each layer's value is
        let mut at: Vec<usize> = Vec::with_capacity(layers.len());
        for layer in layers {
            let place = match &layer.op {
                Op::Input => plan.buffer(layer.len()),
                Op::Flatten => plan.own(&uses, &at, layer.inputs[0]),
                Op::Linear(linear) => {
                    let (from, in_features) = (at[layer.inputs[0]], layers[layer.inputs[0]].len());
                    let shape = LinearShape { in_features, out_features: linear.out_features };
                    let packed = PackedLinear::new(shape);
                    let to = plan.buffer(packed.stride());
                    let place = layer.params.clone().expect("a linear layer has parameters");
                    plan.steps.push(Step::Linear { from, to, place, packed });
                    to
                }
                Op::BatchNorm(norm) => {
                    let at = plan.own(&uses, &at, layer.inputs[0]);
                    let place = layer.params.clone().expect("a norm has parameters");
                    let buffers = layer.buffers.clone().expect("a norm has buffers");
                    let packed = PackedNorm::new(plan.strides[at]);
                    plan.steps.push(Step::BatchNorm {
                        at,
                        place,
                        buffers,
                        eps: norm.eps,
                        relu: false,
                        packed,
                    });
                    at
                }
                Op::Activation(activation) => {
                    let input = layer.inputs[0];
                    let at = plan.own(&uses, &at, input);
                    let activation = kernel_activation(*activation);
                    match plan.steps.last_mut() {
                        // batch norm and ReLU in one pass over the values
                        Some(Step::BatchNorm { at: same, relu, .. })
                            if *same == at && activation == Activation::Relu && !*relu =>
                        {
                            *relu = true;
                        }
                        _ => plan.steps.push(Step::Activation { at, activation }),
                    }
                    at
                }
                Op::Add => {
                    let (from, to) = (at[layer.inputs[1]], plan.copy(at[layer.inputs[0]]));
                    plan.steps.push(Step::Add { from, to });
                    to
                }
            };
            at.push(place);
        }
        plan.output = at[network.output()];
        plan
    }

    fn buffer(&mut self, stride: usize) -> usize {
        self.strides.push(stride);
        self.strides.len() - 1
    }

    fn copy(&mut self, from: usize) -> usize {
        let to = self.buffer(self.strides[from]);
        self.steps.push(Step::Copy { from, to });
        to
    }

    /// A buffer with the value of layer `input` that may be written: its own if nobody else reads it.
    fn own(&mut self, uses: &[usize], at: &[usize], input: usize) -> usize {
        if uses[input] == 1 { at[input] } else { self.copy(at[input]) }
    }

    /// Takes over the parameters of `point`.
    fn pack(&mut self, point: &Point) {
        self.steps.par_iter_mut().for_each(|step| match step {
            Step::Linear { place, packed, .. } => {
                packed.pack(&point.params[place.weight.clone()], &point.params[place.bias.clone()]);
            }
            Step::BatchNorm { place, buffers, packed, .. } => packed.pack(point, place, buffers),
            Step::Activation { .. } | Step::Copy { .. } | Step::Add { .. } => {}
        });
    }

    fn run(&self, workspace: &mut Workspace, rows: usize, mode: BatchNormMode) {
        let Workspace { buffers, mean, var, .. } = workspace;
        for step in &self.steps {
            match step {
                Step::Linear { from, to, packed, .. } => {
                    let [x, y] = pair(buffers, *from, *to);
                    packed.forward(x, self.strides[*from], rows, y);
                }
                Step::BatchNorm { at, eps, relu, packed, .. } => {
                    let columns = self.strides[*at];
                    let values = &mut buffers[*at][..rows * columns];
                    let (mean, var): (&[f32], &[f32]) = match mode {
                        BatchNormMode::Batch => {
                            moments(values, &mut mean[..columns], &mut var[..columns]);
                            (&mean[..columns], &var[..columns])
                        }
                        BatchNormMode::Running => (&packed.mean, &packed.var),
                    };
                    let (scale, shift) = (packed.scale.as_slice(), packed.shift.as_slice());
                    normalize(values, Normalization { mean, var, scale, shift, eps: *eps }, *relu);
                }
                Step::Activation { at, activation } => {
                    activation.apply(&mut buffers[*at][..rows * self.strides[*at]]);
                }
                Step::Copy { from, to } => {
                    let [x, y] = pair(buffers, *from, *to);
                    let len = rows * self.strides[*from];
                    y[..len].copy_from_slice(&x[..len]);
                }
                Step::Add { from, to } => {
                    let (from_stride, to_stride) = (self.strides[*from], self.strides[*to]);
                    let columns = from_stride.min(to_stride);
                    let [x, y] = pair(buffers, *from, *to);
                    let each = x.chunks_exact(from_stride).zip(y.chunks_exact_mut(to_stride));
                    each.take(rows).for_each(|(x, y)| add(&x[..columns], &mut y[..columns]));
                }
            }
        }
    }
}

/// Two different buffers, the second to write.
fn pair(buffers: &mut [Vec<f32>], from: usize, to: usize) -> [&mut [f32]; 2] {
    let both = buffers.get_disjoint_mut([from, to]).expect("a step never reads what it writes");
    both.map(Vec::as_mut_slice)
}

impl PackedNorm {
    fn new(stride: usize) -> Self {
        let zeros = vec![0.0; stride];
        Self { scale: zeros.clone(), shift: zeros.clone(), mean: zeros.clone(), var: zeros }
    }

    fn pack(&mut self, point: &Point, place: &LayerParams, buffers: &LayerBuffers) {
        let features = place.weight.len();
        self.scale[..features].copy_from_slice(&point.params[place.weight.clone()]);
        self.shift[..features].copy_from_slice(&point.params[place.bias.clone()]);
        self.mean[..features].copy_from_slice(&point.buffers[buffers.mean.clone()]);
        self.var[..features].copy_from_slice(&point.buffers[buffers.var.clone()]);
    }
}

impl Workspace {
    /// Room for `rows` rows; grows once and stays.
    fn prepare(&mut self, strides: &[usize], rows: usize) {
        self.buffers.resize_with(strides.len(), Vec::new);
        for (buffer, stride) in self.buffers.iter_mut().zip(strides) {
            if buffer.len() < rows * stride {
                buffer.resize(rows * stride, 0.0);
            }
        }
        self.labels.resize(rows, 0);
        let widest = strides.iter().copied().max().unwrap_or(0);
        self.mean.resize(widest, 0.0);
        self.var.resize(widest, 0.0);
    }
}
