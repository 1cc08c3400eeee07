//! Computes a network's values in order and drops values that are no longer needed.

use walk_arch::Network;

/// The values that a step reads and writes, by number.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    /// The value it writes.
    pub(crate) value: usize,
    /// The values it reads, each written before.
    pub(crate) inputs: Vec<usize>,
}

/// A step per layer except the input, whose value is number 0.
pub(crate) fn layer_by_layer(network: &Network) -> Vec<Wire> {
    let layers = network.layers().iter().enumerate().skip(1);
    layers.map(|(value, layer)| Wire { value, inputs: layer.inputs.clone() }).collect()
}

/// Calls `step` with the index of every wire and the values it reads; returns value number `output`.
pub(crate) fn walk<'w, V: Clone, E>(
    wires: impl Iterator<Item = &'w Wire> + Clone,
    output: usize,
    input: V,
    mut step: impl FnMut(usize, Vec<V>) -> Result<V, E>,
) -> Result<V, E> {
    let mut values = Values::new(wires.clone(), &[output]);
    values.set(0, input);
    for (place, wire) in wires.enumerate() {
        let operands = values.read(&wire.inputs);
        values.set(wire.value, step(place, operands)?);
    }
    Ok(values.take(output))
}

/// Values by number, each kept until it is read for the last time.
pub(crate) struct Values<V> {
    uses: Vec<usize>,
    values: Vec<Option<V>>,
}

impl<V: Clone> Values<V> {
    /// Storage for steps with these wires, after which the values `kept` are taken.
    pub(crate) fn new<'w>(wires: impl Iterator<Item = &'w Wire> + Clone, kept: &[usize]) -> Self {
        let uses = uses(wires, kept);
        Self { values: vec![None; uses.len()], uses }
    }

    /// Sets a value.
    pub(crate) fn set(&mut self, number: usize, value: V) {
        self.values[number] = Some(value);
    }

    /// A value that will be read again.
    pub(crate) fn get(&self, number: usize) -> &V {
        self.values[number].as_ref().expect("inputs come before their readers")
    }

    /// The values that a step reads.
    pub(crate) fn read(&mut self, numbers: &[usize]) -> Vec<V> {
        numbers.iter().map(|&number| self.take(number)).collect()
    }

    /// A value, for one reader.
    pub(crate) fn take(&mut self, number: usize) -> V {
        self.uses[number] -= 1;
        let value = &mut self.values[number];
        let value = if self.uses[number] == 0 { value.take() } else { value.clone() };
        value.expect("inputs come before their readers")
    }
}

/// The number of reads of each value; those that are `kept` have one more, by the caller.
pub(crate) fn uses<'w>(wires: impl Iterator<Item = &'w Wire> + Clone, kept: &[usize]) -> Vec<usize> {
    let reads = || wires.clone().flat_map(|wire| &wire.inputs).chain(kept).copied();
    let values = wires.clone().map(|wire| wire.value).chain(reads()).max().map_or(0, |last| last + 1);
    let mut uses = vec![0; values];
    reads().for_each(|value| uses[value] += 1);
    uses
}
