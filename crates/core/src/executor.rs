//! Walks a network's layers in order and lets go of values that nobody will read again.

use walk_arch::{Layer, Network, Op};

/// Calls `step` for every layer but the input with the values of its inputs; returns the output's value.
pub(crate) fn walk<V: Clone, E>(
    network: &Network,
    input: V,
    mut step: impl FnMut(usize, &Layer, Vec<V>) -> Result<V, E>,
) -> Result<V, E> {
    let layers = network.layers();
    let mut uses = uses(network);
    let mut values: Vec<Option<V>> = vec![None; layers.len()];
    let mut input = Some(input);
    for (index, layer) in layers.iter().enumerate() {
        let operands = layer.inputs.iter().map(|&from| {
            uses[from] -= 1;
            let value = if uses[from] == 0 { values[from].take() } else { values[from].clone() };
            value.expect("inputs come before the layers that read them")
        });
        let operands: Vec<V> = operands.collect();
        values[index] =
            if matches!(layer.op, Op::Input) { input.take() } else { Some(step(index, layer, operands)?) };
    }
    Ok(values[network.output()].take().expect("every layer has been computed"))
}

/// How many layers read each layer's value.
pub(crate) fn uses(network: &Network) -> Vec<usize> {
    let layers = network.layers();
    let mut uses = vec![0; layers.len()];
    layers.iter().flat_map(|layer| &layer.inputs).for_each(|&input| uses[input] += 1);
    uses
}
