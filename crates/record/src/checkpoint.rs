//! Parameters and buffers in safetensors files, under PyTorch's names.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::{RecordError, RunFolder};

/// One named tensor of a checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointTensor<'a> {
    /// PyTorch's name: `features.0.weight`.
    pub name: &'a str,
    /// Its shape, in PyTorch's order.
    pub shape: Vec<usize>,
    /// Its elements, the last dimension fastest.
    pub values: &'a [f32],
}

impl RunFolder {
    /// Writes `checkpoints/NAME.safetensors`, aside and then renamed.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the disk refuses it, [`RecordError::Unwritable`] if a shape does not fit its values.
    pub fn write_checkpoint(&self, name: &str, tensors: &[CheckpointTensor<'_>]) -> Result<(), RecordError> {
        let unwritable = |message: String| RecordError::Unwritable { message };
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
            .collect();
        let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
            view.map(|view| (tensor.name, view)).map_err(|error| unwritable(error.to_string()))
        });
        let views: Vec<(&str, TensorView<'_>)> = views.collect::<Result<_, _>>()?;
        // no metadata: it would be a hash map, whose order changes the bytes
        let file = serialize(views, None).map_err(|error| unwritable(error.to_string()))?;
        let folder = self.path().join("checkpoints");
        std::fs::create_dir_all(&folder).map_err(|source| RecordError::Io {
            path: folder,
            action: "created",
            source,
        })?;
        self.replace(&format!("checkpoints/{name}.safetensors"), &file)
    }
}

/// One tensor of a checkpoint that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// PyTorch's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements, the last dimension fastest; empty if they are not f32.
    pub values: Vec<f32>,
}

/// The tensors of a safetensors file, made here or elsewhere, by name.
///
/// # Errors
/// [`RecordError::Io`] if the file cannot be read, [`RecordError::Checkpoint`] if it is none.
pub fn read_checkpoint(path: &Path) -> Result<Vec<StoredTensor>, RecordError> {
    let io = |source| RecordError::Io { path: path.into(), action: "read", source };
    let bytes = std::fs::read(path).map_err(io)?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| RecordError::Checkpoint { path: path.into(), message: error.to_string() })?;
    let tensor = |(name, view): (&str, TensorView<'_>)| {
        let of_f32 = view.dtype() == Dtype::F32;
        let elements = if of_f32 { view.data().as_chunks::<4>().0 } else { &[] };
        let values = elements.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        StoredTensor { name: name.into(), shape: view.shape().to_vec(), values }
    };
    let mut tensors: Vec<StoredTensor> = file.iter().map(tensor).collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_exactly() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&dir.path().join("run")).unwrap();
        let values = [1.5f32, -0.0, f32::MIN_POSITIVE, 3.0e38, 0.1, 7.0];
        let tensors = [CheckpointTensor { name: "1.weight", shape: vec![2, 3], values: &values }];
        folder.write_checkpoint("final", &tensors).unwrap();
        let path = folder.path().join("checkpoints/final.safetensors");
        let read = read_checkpoint(&path).unwrap();
        assert_eq!((read[0].name.as_str(), read[0].shape.as_slice()), ("1.weight", [2, 3].as_slice()));
        assert!(read[0].values.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits()));
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(matches!(read_checkpoint(&path), Err(RecordError::Checkpoint { .. })), "{cut}");
        }
        let wrong = [CheckpointTensor { name: "x", shape: vec![7], values: &values }];
        assert!(matches!(folder.write_checkpoint("bad", &wrong), Err(RecordError::Unwritable { .. })));
    }
}
