//! Matrix products of two values.

use walk_arch::Matmul as Options;
use walk_kernels::batch_matmul::BatchMatmul;
use walk_kernels::matmul::Write;
use walk_kernels::memory::zeros;

use super::{Call, ChannelOrder, FusedLayer, Inputs, Layout, Output, Pass, Value};
use crate::CoreError;

pub(super) struct Matmul {
    shape: BatchMatmul,
    /// Elements of the output per sample.
    len: usize,
}

impl Matmul {
    /// Of values of shapes `a` and `b`.
    pub(super) fn new(options: &Options, a: &[usize], b: &[usize], len: usize) -> Self {
        let [.., rows, inner] = *a else { unreachable!("the graph check requires two dimensions") };
        let columns = b[b.len() - if options.transposed { 2 } else { 1 }];
        let (b_transposed, scale) = (options.transposed, options.scale);
        let shape = BatchMatmul { rows, inner, columns, a_transposed: false, b_transposed, scale };
        Self { shape, len }
    }
}

impl FusedLayer for Matmul {
    fn layout(&self) -> Layout {
        let output = Output::New(self.len);
        Layout { order: Some(ChannelOrder::ChannelsFirst), padded: false, output }
    }

    fn evaluate(&self, Call { x: [a, b], y, .. }: Call<'_>) {
        self.shape.apply(a, b, y, Write::Replace);
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let shape = self.shape;
        pass.bilinear(inputs.two(), |tape, a, b| {
            let pairs = a.len() / (shape.rows * shape.inner);
            let mut y = zeros(pairs * shape.rows * shape.columns);
            shape.apply_parallel(a.values(), b.values(), &mut y, Write::Replace);
            let rows = a.samples();
            tape.record(y, rows, move |dy, spent, _| {
                let (a_values, b_values) = (a.values(), b.values());
                a.update_gradient(|grad| shape.backward_a(b_values, &dy, grad));
                b.update_gradient(|grad| shape.backward_b(a_values, &dy, grad));
                spent.give(dy);
                Ok(())
            })
        })
    }
}
