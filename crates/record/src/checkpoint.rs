//! Named tensors in safetensors files: checkpoints that PyTorch can open, and the state from which a run continues.
//!
//! Files written here include the SHA-256 of their tensors' names and bytes, which detects a flipped bit.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};
use safetensors::{SafeTensorError, SafeTensors};
use sha2::{Digest, Sha256};

use crate::RecordError;

/// Numbers of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Parameters and quantities derived from them.
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

    /// `None` for an unsupported type. Half precision is widened, which is exact.
    fn from_bytes(dtype: Dtype, bytes: &[u8]) -> Option<Self> {
        let half = || bytes.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        let wide = || bytes.as_chunks::<8>().0.iter();
        Some(match dtype {
            Dtype::F16 => Self::F32(half().map(f16_to_f32).collect()),
            Dtype::BF16 => Self::F32(half().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect()),
            Dtype::F32 => {
                Self::F32(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
            Dtype::F64 => Self::F64(wide().map(|bytes| f64::from_le_bytes(*bytes)).collect()),
            Dtype::U64 => Self::U64(wide().map(|bytes| u64::from_le_bytes(*bytes)).collect()),
            _ => return None,
        })
    }
}

/// The number with these bits in IEEE half precision.
fn f16_to_f32(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10 & 31), bits & 1023);
    let magnitude = match exponent {
        // subnormal numbers are multiples of 2^-24
        0 => f32::from(fraction) / 16_777_216.0,
        31 => f32::from_bits(0xff << 23 | u32::from(fraction) << 13),
        // the bias is 15 here and 127 in f32
        _ => f32::from_bits((exponent + 112) << 23 | u32::from(fraction) << 13),
    };
    f32::from_bits(magnitude.to_bits() | sign)
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

/// The bytes of a file with these tensors: equal tensors give equal bytes.
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
    // at most one key: the metadata is a hash map, whose order would change the bytes
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

/// The contents of a safetensors file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The tensors of supported types, by name.
    pub tensors: Vec<NamedTensor>,
    /// The others.
    pub others: Vec<OtherTensor>,
}

/// A tensor of an unsupported type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherTensor {
    /// Its name.
    pub name: String,
    /// The type, such as `I64`.
    pub dtype: String,
}

/// Reads a safetensors file, written by this or another program.
///
/// # Errors
/// [`RecordError::Io`] if the file cannot be read, [`RecordError::Checkpoint`] if it is not a safetensors file or is damaged.
pub fn read_checkpoint(path: &Path) -> Result<Checkpoint, RecordError> {
    let bytes = std::fs::read(path).map_err(RecordError::io(path, "read"))?;
    parse_checkpoint(&bytes).map_err(|message| RecordError::Checkpoint { path: path.into(), message })
}

/// The same from the bytes of a file.
///
/// # Errors
/// What is wrong with them.
pub fn parse_checkpoint(bytes: &[u8]) -> Result<Checkpoint, String> {
    let wrong = |error: SafeTensorError| format!("not a safetensors file: {}", explain(bytes, &error));
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let mut views: Vec<(&str, TensorView<'_>)> = file.iter().collect();
    views.sort_unstable_by_key(|(name, _)| *name);
    let expected = metadata.metadata().as_ref().and_then(|metadata| metadata.get(CHECKSUM));
    let found = || checksum(views.iter().map(|(name, view)| (*name, view.data())));
    if expected.is_some_and(|expected| *expected != found()) {
        return Err("damaged: its contents differ from what was written (SHA-256)".into());
    }
    let mut checkpoint = Checkpoint::default();
    for (name, view) in views {
        let name = name.to_owned();
        match Values::from_bytes(view.dtype(), view.data()) {
            Some(values) => {
                checkpoint.tensors.push(NamedTensor { name, shape: view.shape().to_vec(), values })
            }
            None => checkpoint.others.push(OtherTensor { name, dtype: view.dtype().to_string() }),
        }
    }
    Ok(checkpoint)
}

/// Explains what bytes are that safetensors rejects.
fn explain(bytes: &[u8], error: &SafeTensorError) -> String {
    const FROM_PYTORCH: &str = "in Python, `from safetensors.torch import save_file; \
                                save_file(model.state_dict(), \"NAME.safetensors\")` saves the parameters in this format";
    // a header of less than 4 GiB, whose size may begin like a pickle
    let has_header = bytes.get(4..9) == Some(b"\0\0\0\0{");
    // archives of torch.save, and its files before PyTorch 1.6
    if !has_header && (bytes.starts_with(b"PK\x03\x04") || bytes.first() == Some(&0x80)) {
        return format!("it was saved by torch.save or pickle; {FROM_PYTORCH}");
    }
    if bytes.starts_with(b"\x89HDF") || bytes.starts_with(b"\x93NUMPY") {
        return format!("it is an HDF5 or NumPy file; {FROM_PYTORCH}");
    }
    match (bytes.len(), error) {
        (0, _) => "it is empty".into(),
        (_, SafeTensorError::InvalidHeaderLength | SafeTensorError::MetadataIncompleteBuffer) => {
            format!("it is truncated or of another type ({error})")
        }
        _ => error.to_string(),
    }
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
        assert_eq!(read_checkpoint(&path).unwrap().tensors, tensors());
        assert_eq!(checkpoint_bytes(&tensors()).unwrap(), std::fs::read(&path).unwrap());
        let wrong = [NamedTensor { shape: vec![7], ..tensors().remove(0) }];
        assert!(matches!(checkpoint_bytes(&wrong), Err(RecordError::Unwritable { .. })));
    }

    #[test]
    fn half_precision_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            let (sign, exponent, fraction) = (bits >> 15, i32::from(bits >> 10 & 31), f64::from(bits & 1023));
            let magnitude = match exponent {
                0 => fraction / 1024.0 * 2f64.powi(-14),
                31 if bits & 1023 == 0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            let expected = if sign == 1 { -magnitude } else { magnitude };
            let found = f64::from(f16_to_f32(bits));
            assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "{bits:#x}"
            );
        }
        let Some(Values::F32(found)) = Values::from_bytes(Dtype::BF16, &[0x49, 0x40, 0x80, 0xff]) else {
            panic!("bfloat16 is read");
        };
        // π cut to eight bits, and -∞
        assert_eq!(found, [3.140625, f32::NEG_INFINITY]);
        assert_eq!(Values::from_bytes(Dtype::I64, &[0; 8]), None);
    }

    #[test]
    fn other_files_are_named() {
        let message = |bytes: &[u8]| parse_checkpoint(bytes).unwrap_err();
        for pickle in [&b"PK\x03\x04\0\0\0\0\0\0"[..], b"\x80\x02}q\0."] {
            assert!(message(pickle).contains("torch.save") && message(pickle).contains("save_file("));
        }
        assert!(message(b"\x93NUMPY\x01\0\0\0").contains("NumPy"));
        assert_eq!(message(b""), "not a safetensors file: it is empty");
        let whole = checkpoint_bytes(&tensors()).unwrap();
        assert!(message(&whole[..20]).contains("truncated"), "{}", message(&whole[..20]));
        assert!(message(&whole[..whole.len() - 1]).contains("truncated"));
    }

    #[test]
    fn a_truncated_file_whose_header_begins_like_a_pickle_is_not_called_one() {
        // names of every length until the size of the header, a multiple of 8, ends in 0x80
        let tensor = |length: usize| [NamedTensor::list("a".repeat(length), Values::F64(vec![1.0]))];
        let mut files = (1..=256).map(|length| checkpoint_bytes(&tensor(length)).unwrap());
        let whole = files.find(|bytes| bytes[0] == 0x80).unwrap();
        for cut in [20, whole.len() - 1] {
            let message = parse_checkpoint(&whole[..cut]).unwrap_err();
            assert!(message.contains("truncated") && !message.contains("pickle"), "{message}");
        }
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
                Ok(read) => assert_eq!(read.tensors, tensors(), "bit {bit}"),
                Err(error) => assert!(matches!(error, RecordError::Checkpoint { .. }), "{error}"),
            }
        }
    }
}
