//! Reads an ONNX file and the files that its weights lie in, and trusts neither.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use prost::Message;

use crate::proto::{Graph, Model, Tensor};

/// Largest file that is read, the limit of protobuf.
const MAX_FILE: u64 = 2 << 30;
/// Most nodes of a graph.
const MAX_NODES: usize = 50_000;
/// Most elements of a tensor.
const MAX_ELEMENTS: usize = 1 << 31;
/// The opsets whose operators are known.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=26;
/// The key under which scripts/export_onnx.py names what is not trained.
const BUFFERS: &str = "sgdwalk.buffers";

/// A file's graph.
pub(crate) struct OnnxFile {
    /// The computation.
    pub(crate) graph: Graph,
    /// The names of initializers that are constants, not parameters, if the file says which are.
    pub(crate) buffers: Option<Vec<String>>,
    folder: PathBuf,
}

impl OnnxFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let at = |problem: String| format!("{}: {problem}", path.display());
        let length = std::fs::metadata(path).map_err(|error| at(error.to_string()))?.len();
        if length > MAX_FILE {
            return Err(at(format!("it has {length} bytes, at most {MAX_FILE} are read")));
        }
        let bytes = std::fs::read(path).map_err(|error| at(error.to_string()))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Self::from_bytes(&bytes, folder.unwrap_or(Path::new("."))).map_err(at)
    }

    /// Reads a file's bytes; `folder` is where it lies.
    pub(crate) fn from_bytes(bytes: &[u8], folder: &Path) -> Result<Self, String> {
        let model =
            Model::decode(bytes).map_err(|error| format!("no ONNX file, or a damaged one: {error}"))?;
        let graph = model.graph.ok_or("no ONNX file, or a damaged one: it has no graph")?;
        let opset = model.opset_import.iter().find(|set| ["", "ai.onnx"].contains(&set.domain.as_str()));
        let opset = opset.ok_or("it does not name its opset")?.version;
        if !OPSETS.contains(&opset) {
            let (first, last) = (OPSETS.start(), OPSETS.end());
            return Err(format!("its opset is {opset}, expected {first} to {last}; export it again"));
        }
        if graph.node.len() > MAX_NODES {
            return Err(format!("it has {} nodes, at most {MAX_NODES} are read", graph.node.len()));
        }
        let mut names = HashMap::new();
        for tensor in &graph.initializer {
            elements(tensor)?;
            if names.insert(tensor.name.as_str(), ()).is_some() {
                return Err(format!("two initializers are called `{}`", tensor.name));
            }
        }
        let buffers = model.metadata_props.iter().find(|entry| entry.key == BUFFERS);
        let buffers = buffers.map(|entry| entry.value.split_whitespace().map(str::to_owned).collect());
        Ok(Self { graph, buffers, folder: folder.into() })
    }

    /// The initializer of a name.
    pub(crate) fn initializer(&self, name: &str) -> Option<&Tensor> {
        self.graph.initializer.iter().find(|tensor| tensor.name == name)
    }

    /// The numbers of a tensor.
    pub(crate) fn numbers(&self, tensor: &Tensor) -> Result<Numbers, String> {
        let count = elements(tensor)?;
        let stored;
        let raw = if tensor.data_location == 1 {
            stored = self.external(tensor)?;
            &stored
        } else {
            &tensor.raw_data
        };
        let numbers = if raw.is_empty() { typed(tensor) } else { parsed(tensor.data_type, raw) };
        let numbers = numbers.ok_or_else(|| {
            format!("initializer `{}` has data type {}, which is not read", tensor.name, tensor.data_type)
        })?;
        if numbers.len() != count {
            let (name, found) = (&tensor.name, numbers.len());
            return Err(format!("initializer `{name}` has {found} values, expected {count}"));
        }
        Ok(numbers)
    }

    /// The bytes of a tensor that lie in another file of the same folder.
    fn external(&self, tensor: &Tensor) -> Result<Vec<u8>, String> {
        let failed = |problem: String| format!("initializer `{}`: {problem}", tensor.name);
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key);
        let location = &entry("location").ok_or_else(|| failed("its file is not named".into()))?.value;
        let number = |key: &str| match entry(key) {
            Some(entry) => {
                entry.value.parse::<u64>().map(Some).map_err(|_| failed(format!("its {key} is no number")))
            }
            None => Ok(None),
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let inside = Path::new(location).components().all(|part| matches!(part, Component::Normal(_)));
        let path = self.folder.join(location);
        let real = path.canonicalize().map_err(|error| failed(format!("{}: {error}", path.display())))?;
        let folder = self.folder.canonicalize().map_err(|error| failed(error.to_string()))?;
        if !inside || !real.starts_with(folder) {
            return Err(failed(format!("its data lie outside of the file's folder, in {location}")));
        }
        let mut file = File::open(&real).map_err(|error| failed(error.to_string()))?;
        let size = file.metadata().map_err(|error| failed(error.to_string()))?.len();
        let end = length.and_then(|length| offset.checked_add(length)).unwrap_or(size);
        if offset > end || end > size {
            return Err(failed(format!("its data end at byte {end} of {size} of {location}")));
        }
        let mut bytes = vec![0; (end - offset) as usize];
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| failed(error.to_string()))?;
        Ok(bytes)
    }
}

/// A tensor's numbers; integers are exact.
pub(crate) enum Numbers {
    Float(Vec<f64>),
    Integer(Vec<i64>),
}

impl Numbers {
    fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Integer(values) => values.len(),
        }
    }
}

/// The number of elements of a tensor.
fn elements(tensor: &Tensor) -> Result<usize, String> {
    let product =
        tensor.dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(usize::try_from(dim).ok()?));
    product.filter(|&product| product <= MAX_ELEMENTS).ok_or_else(|| {
        format!("initializer `{}` has the shape {:?}, which is not usable", tensor.name, tensor.dims)
    })
}

/// The numbers in the fields that are typed.
fn typed(tensor: &Tensor) -> Option<Numbers> {
    match tensor.data_type {
        1 => Some(Numbers::Float(tensor.float_data.iter().map(|&x| x.into()).collect())),
        11 => Some(Numbers::Float(tensor.double_data.clone())),
        6 | 9 => Some(Numbers::Integer(tensor.int32_data.iter().map(|&x| x.into()).collect())),
        7 => Some(Numbers::Integer(tensor.int64_data.clone())),
        _ => None,
    }
}

/// The numbers in little-endian bytes.
fn parsed(data_type: i32, bytes: &[u8]) -> Option<Numbers> {
    fn all<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect()
    }
    Some(match data_type {
        1 => Numbers::Float(all(bytes, |x| f32::from_le_bytes(x).into())),
        10 => Numbers::Float(all(bytes, |x| half(u16::from_le_bytes(x)))),
        11 => Numbers::Float(all(bytes, f64::from_le_bytes)),
        16 => Numbers::Float(all(bytes, |x| f32::from_bits(u32::from(u16::from_le_bytes(x)) << 16).into())),
        6 => Numbers::Integer(all(bytes, |x| i32::from_le_bytes(x).into())),
        7 => Numbers::Integer(all(bytes, i64::from_le_bytes)),
        9 => Numbers::Integer(all(bytes, |[x]: [u8; 1]| x.into())),
        _ => return None,
    })
}

/// IEEE half precision.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}
