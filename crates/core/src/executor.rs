//! Computes a network's values in order and drops those that are not read again.

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

/// Calls `step` with the place of every wire and the values it reads; returns value number `output`.
pub(crate) fn walk<'w, V: Clone, E>(
    wires: impl Iterator<Item = &'w Wire> + Clone,
    output: usize,
    input: V,
    mut step: impl FnMut(usize, Vec<V>) -> Result<V, E>,
) -> Result<V, E> {
    let mut uses = uses(wires.clone(), output);
    let mut values: Vec<Option<V>> = vec![None; uses.len()];
    values[0] = Some(input);
    for (place, wire) in wires.enumerate() {
        let operands = wire.inputs.iter().map(|&from| {
            uses[from] -= 1;
            let value = if uses[from] == 0 { values[from].take() } else { values[from].clone() };
            value.expect("inputs come before what reads them")
        });
        let operands: Vec<V> = operands.collect();
        values[wire.value] = Some(step(place, operands)?);
    }
    Ok(values[output].take().expect("every value has been computed"))
}

/// The number of reads of each value; the output has one more, by the caller.
pub(crate) fn uses<'w>(wires: impl Iterator<Item = &'w Wire> + Clone, output: usize) -> Vec<usize> {
    let values = wires.clone().map(|wire| wire.value).chain([output]).max().unwrap_or(0) + 1;
    let mut uses = vec![0; values];
    uses[output] = 1;
    wires.flat_map(|wire| &wire.inputs).for_each(|&input| uses[input] += 1);
    uses
}
