//! Reads many image files, all of the same size, as the images of a set.

use std::path::PathBuf;

use rayon::prelude::*;

use crate::DataError;
use crate::picture::{Color, Picture, decode};

/// Maximum number of images in a set.
const MAX_IMAGES: usize = 1 << 24;
/// Maximum total size of all images: 64 GiB.
const MAX_PIXELS: usize = 1 << 36;

/// An image to read, and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) file: PathBuf,
    pub(crate) label: u16,
}

/// The bytes of all images, in order.
pub(crate) struct Decoded {
    pub(crate) pixels: Vec<u8>,
    /// `[channels, height, width]` of each.
    pub(crate) shape: [usize; 3],
}

/// Decodes the images of a set, whose files are read by `bytes`.
///
/// # Errors
/// [`DataError`] if a file cannot be read or decoded, two differ in size, or the total size is too large.
pub(crate) fn decode_all(
    entries: &[Entry],
    color: Color,
    bytes: impl Fn(&Entry) -> Result<Vec<u8>, DataError> + Sync,
) -> Result<Decoded, DataError> {
    let picture = |entry: &Entry| decode(&entry.file, &bytes(entry)?, color);
    let first = picture(&entries[0])?;
    let [height, width] = first.size;
    let shape = [if color == Color::Rgb { 3 } else { 1 }, height, width];
    let len = shape.iter().product::<usize>();
    if entries.len() > MAX_IMAGES || entries.len().saturating_mul(len) > MAX_PIXELS {
        let found = format!("{} images of {len} bytes", entries.len());
        return Err(DataError::value("dir", found, "at most 64 GiB in total"));
    }
    let mut pixels = vec![0; entries.len() * len];
    pixels.par_chunks_exact_mut(len).zip(entries).try_for_each(|(to, entry)| {
        let Picture { size, planes } = picture(entry)?;
        if size != first.size {
            let (file, first_file) = (entry.file.clone(), entries[0].file.clone());
            return Err(DataError::Size { file, found: size, first: first_file, expected: first.size });
        }
        to.copy_from_slice(&planes);
        Ok(())
    })?;
    Ok(Decoded { pixels, shape })
}
