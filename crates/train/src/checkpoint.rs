//! A point as the named tensors of a checkpoint, and back.

use std::path::Path;

use walk_arch::Network;
use walk_core::Point;
use walk_record::{CheckpointTensor, read_checkpoint};

use crate::TrainError;

/// Parameters and buffers under their names.
pub fn point_tensors<'a>(network: &'a Network, point: &'a Point) -> Vec<CheckpointTensor<'a>> {
    let params = network.params().iter().map(|spec| {
        let (name, shape) = (spec.name.as_str(), spec.shape.clone());
        CheckpointTensor { name, shape, values: &point.params[spec.range.clone()] }
    });
    let buffers = network.buffers().iter().map(|spec| {
        let (name, shape) = (spec.name.as_str(), vec![spec.range.len()]);
        CheckpointTensor { name, shape, values: &point.buffers[spec.range.clone()] }
    });
    params.chain(buffers).collect()
}

/// The point that a checkpoint holds for `network`; tensors that it does not know are left alone. `key` is the place in the
/// experiment that names the file.
///
/// # Errors
/// [`TrainError::Value`] if the file cannot be read or a tensor is missing, has another shape or is not of f32.
pub fn read_point(path: &Path, network: &Network, key: &str) -> Result<Point, TrainError> {
    let refuse = |expected: String| TrainError::value(key, format!("\"{}\"", path.display()), expected);
    let stored =
        read_checkpoint(path).map_err(|error| refuse(format!("a checkpoint that can be read ({error})")))?;
    let mut point = Point { params: vec![0.0; network.n_params()], buffers: network.initial_buffers() };
    let fill = |name: &str, shape: &[usize], to: &mut [f32]| {
        let of_network =
            format!("a checkpoint of this network, whose tensor {name} is f32 of shape {shape:?}");
        match stored.iter().find(|tensor| tensor.name == name) {
            Some(tensor) if tensor.shape == shape && tensor.values.len() == to.len() => {
                to.copy_from_slice(&tensor.values);
                Ok(())
            }
            Some(tensor) => Err(refuse(format!("{of_network}; there it is of shape {:?}", tensor.shape))),
            None => Err(refuse(format!("{of_network}; there is none"))),
        }
    };
    for spec in network.params() {
        fill(&spec.name, &spec.shape, &mut point.params[spec.range.clone()])?;
    }
    for spec in network.buffers() {
        fill(&spec.name, &[spec.range.len()], &mut point.buffers[spec.range.clone()])?;
    }
    Ok(point)
}
