//! Named tensors in safetensors files: checkpoints that PyTorch opens, and the state that a run continues from.
//!
//! Files written here carry the SHA-256 of their tensors' names and bytes, so that a flipped bit is detected.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use sha2::{Digest, Sha256};

use crate::RecordError;

/// Numbers of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Parameters and what is made of them.
    F32(Vec<f32>),
    /// Losses.
    F64(Vec<f64>),
    /// Counters.
    U64(Vec<u64>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::U64(values) => values.len(),
        }
    }

    fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
            Self::U64(_) => Dtype::U64,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(values) => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F64(values) => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::U64(values) => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// `None` for another number type.
    fn from_bytes(dtype: Dtype, bytes: &[u8]) -> Option<Self> {
        let wide = || bytes.as_chunks::<8>().0.iter();
        Some(match dtype {
            Dtype::F32 => {
                Self::F32(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
            Dtype::F64 => Self::F64(wide().map(|bytes| f64::from_le_bytes(*bytes)).collect()),
            Dtype::U64 => Self::U64(wide().map(|bytes| u64::from_le_bytes(*bytes)).collect()),
            _ => return None,
        })
    }
}

/// One named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// PyTorch's name for a parameter or buffer: `features.0.weight`.
    pub name: String,
    /// Its shape, in PyTorch's order.
    pub shape: Vec<usize>,
    /// Its elements, the last dimension fastest.
    pub values: Values,
}

impl NamedTensor {
    /// A list of numbers.
    pub fn list(name: impl Into<String>, values: Values) -> Self {
        Self { name: name.into(), shape: vec![values.len()], values }
    }
}

/// The bytes of a file with these tensors: equal tensors, equal bytes.
///
/// # Errors
/// [`RecordError::Unwritable`] if a shape does not fit its values.
pub fn checkpoint_bytes(tensors: &[NamedTensor]) -> Result<Vec<u8>, RecordError> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|tensor| tensor.values.to_bytes()).collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(tensor.values.dtype(), tensor.shape.clone(), bytes);
        view.map(|view| (tensor.name.as_str(), view)).map_err(RecordError::unwritable)
    });
    let views: Vec<(&str, TensorView<'_>)> = views.collect::<Result<_, _>>()?;
    let sum = checksum(views.iter().map(|(name, view)| (*name, view.data())));
    // one key at most: the metadata is a hash map, whose order changes the bytes
    let metadata = HashMap::from([(CHECKSUM.to_owned(), sum)]);
    serialize(views, Some(metadata)).map_err(RecordError::unwritable)
}

const CHECKSUM: &str = "sha256";

fn checksum<'a>(tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut tensors: Vec<(&str, &[u8])> = tensors.collect();
    tensors.sort_unstable_by_key(|(name, _)| *name);
    let mut hash = Sha256::new();
    for (name, bytes) in tensors {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    format!("{:x}", hash.finalize())
}

/// The tensors of a safetensors file, made here or elsewhere, by name; those of other number types are left out.
///
/// # Errors
/// [`RecordError::Io`] if the file cannot be read, [`RecordError::Checkpoint`] if it is none or is damaged.
pub fn read_checkpoint(path: &Path) -> Result<Vec<NamedTensor>, RecordError> {
    let bytes = std::fs::read(path).map_err(RecordError::io(path, "read"))?;
    parse_checkpoint(&bytes).map_err(|message| RecordError::Checkpoint { path: path.into(), message })
}

/// The same from the bytes of a file.
///
/// # Errors
/// What is wrong with them.
pub fn parse_checkpoint(bytes: &[u8]) -> Result<Vec<NamedTensor>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let mut views: Vec<(&str, TensorView<'_>)> = file.iter().collect();
    views.sort_unstable_by_key(|(name, _)| *name);
    let expected = metadata.metadata().as_ref().and_then(|metadata| metadata.get(CHECKSUM));
    let found = || checksum(views.iter().map(|(name, view)| (*name, view.data())));
    if expected.is_some_and(|expected| *expected != found()) {
        return Err("its contents are not those that were written (SHA-256)".into());
    }
    let tensor = |(name, view): &(&str, TensorView<'_>)| {
        let values = Values::from_bytes(view.dtype(), view.data())?;
        Some(NamedTensor { name: (*name).to_owned(), shape: view.shape().to_vec(), values })
    };
    Ok(views.iter().filter_map(tensor).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors() -> Vec<NamedTensor> {
        let values = Values::F32(vec![1.5, -0.0, f32::MIN_POSITIVE, 3.0e38, 0.1, 7.0]);
        vec![
            NamedTensor { name: "1.weight".into(), shape: vec![2, 3], values },
            NamedTensor::list("losses", Values::F64(vec![0.1, f64::MIN_POSITIVE])),
            NamedTensor::list("position", Values::U64(vec![u64::MAX, 1])),
        ]
    }

    #[test]
    fn what_is_written_reads_back_exactly_and_has_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        std::fs::write(&path, checkpoint_bytes(&tensors()).unwrap()).unwrap();
        assert_eq!(read_checkpoint(&path).unwrap(), tensors());
        assert_eq!(checkpoint_bytes(&tensors()).unwrap(), std::fs::read(&path).unwrap());
        let wrong = [NamedTensor { shape: vec![7], ..tensors().remove(0) }];
        assert!(matches!(checkpoint_bytes(&wrong), Err(RecordError::Unwritable { .. })));
    }

    #[test]
    fn a_file_cut_at_any_byte_or_with_any_bit_flipped_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let bytes = checkpoint_bytes(&tensors()).unwrap();
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(matches!(read_checkpoint(&path), Err(RecordError::Checkpoint { .. })), "cut at {cut}");
        }
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, flipped).unwrap();
            // a bit of the header's white space or letter case may say the same
            match read_checkpoint(&path) {
                Ok(read) => assert_eq!(read, tensors(), "bit {bit}"),
                Err(error) => assert!(matches!(error, RecordError::Checkpoint { .. }), "{error}"),
            }
        }
    }
}
