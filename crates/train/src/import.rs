//! Reads a point from a safetensors file written by any program.

use std::collections::BTreeMap;
use std::path::Path;

use walk_arch::Network;
use walk_core::Point;
use walk_record::{NamedTensor, OtherTensor, RecordError, Values, read_checkpoint};

use crate::TrainError;

/// Prefix of the names of everything in a checkpoint that is not a parameter or buffer.
pub(crate) const OURS: &str = "sgdwalk.";
/// Prefixes added to every name by PyTorch wrappers: DataParallel, `torch.compile`, Lightning.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];
/// Maximum number of names that an error lists.
const LISTED: usize = 3;

/// Reads the point of `network` from a file written by this or another program, by PyTorch's names. A prefix `module.`,
/// `_orig_mod.` or `model.` that all names share is removed, F16 and BF16 are widened, and tensors that the network does not
/// have are ignored. `key` is the key of the experiment that names the file.
///
/// # Errors
/// [`TrainError::Value`] if the file cannot be read, or if a tensor is missing, has another shape or type, or is not finite.
pub fn read_point(path: &Path, network: &Network, key: &str) -> Result<Point, TrainError> {
    let refuse = |expected: String| TrainError::value(key, format!("\"{}\"", path.display()), expected);
    let stored = read_checkpoint(path).map_err(|error| {
        let reason = match error {
            RecordError::Checkpoint { message, .. } => message,
            RecordError::Io { .. } if path.is_dir() => "it is a folder".into(),
            RecordError::Io { source, .. } => source.to_string(),
            other => other.to_string(),
        };
        refuse(format!("a readable safetensors file: {reason}"))
    })?;
    let tensors = without_prefix(stored.tensors, network);
    let point = to_point(&tensors, network)
        .map_err(|mismatch| refuse(format!("a file with {}", mismatch.explain(&tensors, &stored.others))))?;
    let specs = network.params().iter().map(|spec| (&spec.name, &point.params[spec.range.clone()]));
    let buffers = network.buffers().iter().map(|spec| (&spec.name, &point.buffers[spec.range.clone()]));
    for (name, values) in specs.chain(buffers) {
        let is_good = |x: &f32| x.is_finite() && (*x >= 0.0 || !name.ends_with(".running_var"));
        if let Some(wrong) = values.iter().find(|x| !is_good(x)) {
            return Err(refuse(format!("finite values, and variances of at least 0; `{name}` has {wrong}")));
        }
    }
    Ok(point)
}

/// The tensors without prefixes shared by all names, unless the network has one of the names unchanged.
fn without_prefix(mut tensors: Vec<NamedTensor>, network: &Network) -> Vec<NamedTensor> {
    let params = network.params().iter().map(|spec| spec.name.as_str());
    let names: Vec<&str> = params.chain(network.buffers().iter().map(|spec| spec.name.as_str())).collect();
    while !tensors.is_empty() && !tensors.iter().any(|tensor| names.contains(&tensor.name.as_str())) {
        let is_common = |prefix: &&&str| tensors.iter().all(|tensor| tensor.name.starts_with(**prefix));
        let Some(prefix) = PREFIXES.iter().find(is_common) else { break };
        tensors.iter_mut().for_each(|tensor| drop(tensor.name.drain(..prefix.len())));
    }
    tensors
}

/// A tensor that does not match the network.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) name: String,
    shape: Vec<usize>,
    found: Found,
}

/// What the file has under its name.
#[derive(Debug)]
enum Found {
    Nothing,
    Shape(Vec<usize>),
    Type(&'static str),
}

impl Mismatch {
    /// What was expected, what was found, and a suggestion.
    fn explain(&self, tensors: &[NamedTensor], others: &[OtherTensor]) -> String {
        let Self { name, shape, found } = self;
        let expected = format!("a tensor `{name}` of shape {shape:?}");
        match found {
            Found::Shape(found) if found.iter().rev().eq(shape) => {
                format!(
                    "{expected}; the file has it transposed, {found:?}: a linear layer's weight is [outputs, inputs]"
                )
            }
            Found::Shape(found) => format!("{expected}; its shape in the file is {found:?}"),
            Found::Type(dtype) => {
                format!("{expected} and type F32, F16 or BF16; its type in the file is {dtype}")
            }
            Found::Nothing => {
                if let Some(other) = others.iter().find(|other| other.name == *name) {
                    let dtype = &other.dtype;
                    return format!("{expected} and type F32, F16 or BF16; its type in the file is {dtype}");
                }
                format!("{expected}; {}", nearby(name, tensors))
            }
        }
    }
}

/// The names in a file that are most similar to a missing one.
fn nearby(name: &str, tensors: &[NamedTensor]) -> String {
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.retain(|name| !name.starts_with(OURS));
    if names.is_empty() {
        return "it has no tensors of these types".into();
    }
    // a stable sort: equally similar names stay in their order
    names.sort_by(|a, b| walk_arch::similarity(name, b).total_cmp(&walk_arch::similarity(name, a)));
    let listed: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    format!("the most similar names in the file are {}", listed.join(", "))
}

pub(crate) fn to_point(stored: &[NamedTensor], network: &Network) -> Result<Point, Mismatch> {
    let mut point = Point { params: vec![0.0; network.n_params()], buffers: network.initial_buffers() };
    let by_name: BTreeMap<&str, &NamedTensor> =
        stored.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let fill = |name: &str, shape: &[usize], to: &mut [f32]| {
        let mismatch = |found| Mismatch { name: name.to_owned(), shape: shape.to_vec(), found };
        let tensor = by_name.get(name).ok_or_else(|| mismatch(Found::Nothing))?;
        match &tensor.values {
            Values::F32(values) if tensor.shape == shape => to.copy_from_slice(values),
            Values::F32(_) => return Err(mismatch(Found::Shape(tensor.shape.clone()))),
            Values::F64(_) => return Err(mismatch(Found::Type("F64"))),
            Values::U64(_) => return Err(mismatch(Found::Type("U64"))),
        }
        Ok(())
    };
    for spec in network.params() {
        fill(&spec.name, &spec.shape, &mut point.params[spec.range.clone()])?;
    }
    for spec in network.buffers() {
        fill(&spec.name, &[spec.range.len()], &mut point.buffers[spec.range.clone()])?;
    }
    Ok(point)
}

#[cfg(test)]
mod tests {
    use walk_arch::{Net, Problem, batch_norm, flatten, linear};
    use walk_record::checkpoint_bytes;

    use super::*;

    fn network() -> Network {
        let problem = Problem { input: vec![1, 1, 3], classes: 2 };
        let net = Net::new();
        let mut layers = net.sequential("");
        layers.push(flatten()).push(linear(4)).push(batch_norm()).push(linear(2));
        net.finish(layers.output()).check(&problem).unwrap()
    }

    /// 0, 1, 2, ... in each tensor.
    fn tensors(network: &Network) -> Vec<NamedTensor> {
        let counted = |len: usize| Values::F32((0..len).map(|x| x as f32).collect());
        let params = network.params().iter().map(|spec| NamedTensor {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            values: counted(spec.range.len()),
        });
        let buffers = network.buffers().iter();
        params.chain(buffers.map(|spec| NamedTensor::list(&spec.name, counted(spec.range.len())))).collect()
    }

    fn read(tensors: &[NamedTensor]) -> Result<Point, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        std::fs::write(&path, checkpoint_bytes(tensors).unwrap()).unwrap();
        read_point(&path, &network(), "init.from").map_err(|error| error.to_string())
    }

    #[test]
    fn prefixes_of_wrappers_are_taken_off() {
        let plain = tensors(&network());
        let expected = read(&plain).unwrap();
        assert_eq!(expected.params[..3], [0.0, 1.0, 2.0]);
        for prefix in ["module.", "_orig_mod.", "model.", "module._orig_mod."] {
            let mut renamed = plain.clone();
            renamed.iter_mut().for_each(|tensor| tensor.name.insert_str(0, prefix));
            assert_eq!(read(&renamed).unwrap(), expected, "{prefix}");
            // a prefix that not all names share is kept
            renamed[0].name = plain[0].name.clone();
            assert!(read(&renamed).is_err());
        }
    }

    #[test]
    fn a_tensor_that_does_not_fit_is_named_with_what_is_there() {
        let change = |change: fn(&mut Vec<NamedTensor>)| {
            let mut tensors = tensors(&network());
            change(&mut tensors);
            read(&tensors).unwrap_err()
        };
        let text = change(|tensors| tensors[0].name = "fc.1.weight".into());
        assert!(
            text.contains("a tensor `1.weight` of shape [4, 3]; the most similar names in the file are"),
            "{text}"
        );
        assert!(text.contains("`fc.1.weight`"), "{text}");
        let text = change(|tensors| tensors[0].shape = vec![3, 4]);
        assert!(text.contains("of shape [4, 3]; the file has it transposed, [3, 4]"), "{text}");
        let text = change(|tensors| tensors[0] = NamedTensor::list("1.weight", Values::F32(vec![0.0; 12])));
        assert!(text.contains("its shape in the file is [12]"), "{text}");
        let text = change(|tensors| tensors[0].values = Values::F64(vec![0.0; 12]));
        assert!(text.contains("its type in the file is F64"), "{text}");
        let text = change(|tensors| tensors[0].values = Values::F32(vec![f32::NAN; 12]));
        assert!(text.contains("`1.weight` has NaN"), "{text}");
        let text = change(|tensors| tensors[7].values = Values::F32(vec![-1.0; 4]));
        assert!(text.contains("`2.running_var` has -1"), "{text}");
        let text = change(Vec::clear);
        assert!(text.contains("it has no tensors of these types"), "{text}");
    }

    #[test]
    fn what_is_no_file_of_tensors_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = |path: &Path| read_point(path, &network(), "init.from").unwrap_err().to_string();
        assert!(error(dir.path()).contains("it is a folder"));
        assert!(error(&dir.path().join("none")).contains("No such file"));
        let path = dir.path().join("x.pt");
        std::fs::write(&path, b"PK\x03\x04 an archive of torch.save").unwrap();
        assert!(error(&path).contains("save_file(model.state_dict()"));
    }
}
