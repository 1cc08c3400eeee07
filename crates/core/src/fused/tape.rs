//! Operations on dfdx's tape. Values are tensors; the gradients of values are kept in slots until the reverse pass takes
//! them, since gradients managed by dfdx start as cleared buffers and live as long as the tape.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use dfdx::prelude::*;
use walk_kernels::elementwise::add_parallel;
use walk_kernels::matmul::Write;
use walk_kernels::memory::{copied, zeros};

use super::view;
use crate::CoreError;
use crate::tensors::Rows;

pub(super) type Grads = Gradients<f32, Cpu>;

/// The gradient of a value during a reverse pass; empty until some contribution is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot(Rc<RefCell<Vec<f32>>>);

impl Slot {
    /// The gradient so far.
    pub(super) fn take(&self) -> Vec<f32> {
        self.0.take()
    }

    /// Replaces the gradient.
    pub(super) fn replace(&self, gradient: Vec<f32>) {
        self.0.replace(gradient);
    }

    /// Adds a gradient.
    pub(super) fn add(&self, gradient: Vec<f32>, spent: &Buffers) {
        let mut sum = self.take();
        if sum.is_empty() {
            sum = gradient;
        } else {
            add_parallel(&gradient, &mut sum);
            spent.give(gradient);
        }
        self.replace(sum);
    }

    /// Lets `write` add to the gradient, which starts as zeros.
    pub(super) fn update(&self, len: usize, write: impl FnOnce(&mut [f32])) {
        let mut gradient = self.take();
        if gradient.is_empty() {
            gradient = zeros(len);
        }
        write(&mut gradient);
        self.replace(gradient);
    }
}

/// Buffers of gradients that are no longer needed, for reuse.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Rc<RefCell<BTreeMap<usize, Vec<Vec<f32>>>>>);

impl Buffers {
    /// A buffer with unspecified contents.
    pub(super) fn take(&self, len: usize) -> Vec<f32> {
        let spent = self.0.borrow_mut().get_mut(&len).and_then(Vec::pop);
        spent.unwrap_or_else(|| zeros(len))
    }

    /// Returns a buffer.
    pub(super) fn give(&self, buffer: Vec<f32>) {
        self.0.borrow_mut().entry(buffer.len()).or_default().push(buffer);
    }
}

/// A layer's value, and the slot of its gradient if it depends on trained parameters.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) rows: Rows<Cpu>,
    pub(super) grad: Option<Slot>,
}

impl Operand {
    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        let (rows, columns) = *self.rows.shape();
        rows * columns
    }

    /// Number of samples.
    pub(super) fn samples(&self) -> usize {
        self.rows.shape().0
    }

    /// The elements, row after row.
    pub(super) fn values(&self) -> &[f32] {
        view::rows(&self.rows)
    }

    /// Adds to the value's gradient, if it has one.
    pub(super) fn add_gradient(&self, gradient: Vec<f32>, spent: &Buffers) {
        match &self.grad {
            Some(slot) => slot.add(gradient, spent),
            None => spent.give(gradient),
        }
    }

    /// Lets `write` add to the value's gradient, if it has one; it starts as zeros.
    pub(super) fn update_gradient(&self, write: impl FnOnce(&mut [f32])) {
        if let Some(slot) = &self.grad {
            slot.update(self.len(), write);
        }
    }

    /// Lets `write` replace the value's gradient, if it has one, or add to it once some contribution is known.
    pub(super) fn write_gradient(&self, spent: &Buffers, write: impl FnOnce(&mut [f32], Write)) {
        let Some(slot) = &self.grad else { return };
        let before = slot.take();
        let is_first = before.is_empty();
        let mut gradient = if is_first { spent.take(self.len()) } else { before };
        write(&mut gradient, if is_first { Write::Replace } else { Write::Add });
        slot.replace(gradient);
    }
}

/// ‖∂L_i/∂θ‖² of every sample, computed by a reverse pass instead of the gradient of θ.
#[derive(Clone, Debug)]
pub(super) struct SampleNorms(Rc<RefCell<Vec<f64>>>);

impl SampleNorms {
    /// Zeros for `samples` samples.
    pub(super) fn new(samples: usize) -> Self {
        Self(Rc::new(RefCell::new(vec![0.0; samples])))
    }

    /// Lets `write` add a layer's contribution.
    pub(super) fn update(&self, write: impl FnOnce(&mut [f64])) {
        write(&mut self.0.borrow_mut());
    }

    /// The norms.
    pub(super) fn take(&self) -> Vec<f64> {
        self.0.take()
    }
}

/// The part of the reverse pass that carries one operation's gradients back.
pub(super) type Backward = Box<dyn FnOnce(&mut Grads) -> Result<(), CpuError>>;

/// Records operations for a reverse pass, if there will be one.
pub(super) struct Recorder<'a> {
    device: &'a Cpu,
    /// By operation in the order of the forward pass; `None` if nothing is recorded.
    operations: Option<Vec<Backward>>,
    pub(super) buffers: Buffers,
    /// Collects each sample's gradient norm, if those are computed instead of the gradient.
    pub(super) norms: Option<SampleNorms>,
}

impl<'a> Recorder<'a> {
    /// Records if dfdx's tape `T` does.
    pub(super) fn new<T: Tape<f32, Cpu>>(device: &'a Cpu, norms: Option<SampleNorms>) -> Self {
        let operations = T::OWNS_TAPE.then(Vec::new);
        Self { device, operations, buffers: Buffers::default(), norms }
    }

    /// Records nothing until [`Recorder::go_on`] gets back what this returns.
    pub(super) fn pause(&mut self) -> Option<Vec<Backward>> {
        self.operations.take()
    }

    /// Continues recording after these operations.
    pub(super) fn go_on(&mut self, operations: Option<Vec<Backward>>) {
        self.operations = operations;
    }

    /// The state needed to record later for the same reverse pass.
    pub(super) fn twin(&self) -> Twin {
        Twin { buffers: self.buffers.clone(), norms: self.norms.clone() }
    }

    /// Records an operation of any kind.
    pub(super) fn push(&mut self, operation: impl FnOnce(&mut Grads) -> Result<(), CpuError> + 'static) {
        if let Some(operations) = &mut self.operations {
            operations.push(Box::new(operation));
        }
    }

    fn tensor(&self, values: Vec<f32>, rows: usize) -> Result<Rows<Cpu>, CoreError> {
        let columns = values.len() / rows;
        self.device.try_tensor_from_vec(values, (rows, columns)).map_err(CoreError::device)
    }

    /// A value that does not depend on trained parameters.
    pub(super) fn constant(&self, values: Vec<f32>, rows: usize) -> Result<Operand, CoreError> {
        Ok(Operand { rows: self.tensor(values, rows)?, grad: None })
    }

    /// A value of `rows` rows, and the operation that carries its gradient back. `backward` is not called if there is no
    /// gradient.
    pub(super) fn record(
        &mut self,
        values: Vec<f32>,
        rows: usize,
        backward: impl FnOnce(Vec<f32>, &Buffers, &mut Grads) -> Result<(), CpuError> + 'static,
    ) -> Result<Operand, CoreError> {
        let rows = self.tensor(values, rows)?;
        let slot = Slot::default();
        let (from, spent) = (slot.clone(), self.buffers.clone());
        self.push(move |grads| {
            let gradient = from.take();
            if gradient.is_empty() { Ok(()) } else { backward(gradient, &spent, grads) }
        });
        Ok(Operand { rows, grad: Some(slot) })
    }

    /// Like [`Recorder::record`], for an operation with a single input `x`, to whose gradient `backward` adds.
    pub(super) fn map(
        &mut self,
        x: &Operand,
        values: Vec<f32>,
        backward: impl FnOnce(&[f32], &mut [f32]) + 'static,
    ) -> Result<Operand, CoreError> {
        let rows = x.samples();
        let (Some(slot), len) = (x.grad.clone(), x.len()) else { return self.constant(values, rows) };
        self.record(values, rows, move |dy, spent, _| {
            slot.update(len, |dx| backward(&dy, dx));
            spent.give(dy);
            Ok(())
        })
    }

    /// a + b
    pub(super) fn add(&mut self, a: Operand, b: Operand) -> Result<Operand, CoreError> {
        let rows = a.samples();
        let mut y = copied(a.values());
        add_parallel(b.values(), &mut y);
        if a.grad.is_none() && b.grad.is_none() {
            return self.constant(y, rows);
        }
        self.record(y, rows, move |dy, spent, _| {
            if let (Some(a), Some(b)) = (&a.grad, &b.grad) {
                let mut copy = spent.take(dy.len());
                copy.copy_from_slice(&dy);
                b.add(copy, spent);
                a.add(dy, spent);
            } else if let Some(slot) = a.grad.or(b.grad) {
                slot.add(dy, spent);
            }
            Ok(())
        })
    }

    /// The value as a tensor whose gradient dfdx keeps: the network's output.
    pub(super) fn leave(&mut self, value: Operand) -> Rows<Cpu> {
        if let Some(slot) = value.grad {
            let rows = value.rows.clone();
            self.push(move |grads| {
                slot.replace(std::mem::take(&mut **grads.get_or_alloc_mut(&rows)?));
                Ok(())
            });
        }
        value.rows
    }

    /// Propagates gradients back through the recorded operations.
    pub(super) fn reverse(self, grads: &mut Grads) -> Result<(), CpuError> {
        self.operations.map_or(Ok(()), |operations| reverse(operations, grads))
    }

    /// The recorded operations, as one operation on dfdx's tape.
    pub(super) fn into_tape<T: Tape<f32, Cpu>>(self) -> T {
        let mut tape = T::default();
        if let Some(operations) = self.operations {
            tape.add_backward_op(move |grads| reverse(operations, grads));
        }
        tape
    }
}

/// Runs operations in reverse order; each releases its data when it is done.
fn reverse(operations: Vec<Backward>, grads: &mut Grads) -> Result<(), CpuError> {
    operations.into_iter().rev().try_for_each(|operation| operation(grads))
}

/// State shared by the recorders of one reverse pass.
pub(super) struct Twin {
    buffers: Buffers,
    norms: Option<SampleNorms>,
}

impl Twin {
    /// A recorder that starts empty.
    pub(super) fn recorder(self, device: &Cpu) -> Recorder<'_> {
        Recorder { device, operations: Some(vec![]), buffers: self.buffers, norms: self.norms }
    }
}
