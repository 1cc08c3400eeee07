//! The IDX format of MNIST: `00 00 08 n`, n big-endian 32-bit sizes, then bytes; plain or gzipped.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::DataError;
use crate::archive::{Found, MAX_BYTES};

/// An array of bytes with its sizes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Idx {
    pub(crate) sizes: Vec<usize>,
    pub(crate) values: Vec<u8>,
}

/// The array with `dimensions` sizes in a file's bytes. Gzip is recognized by its first two bytes, not by the name.
pub(crate) fn read(found: Found, dimensions: usize) -> Result<Idx, DataError> {
    let Found { file, mut bytes } = found;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        // one byte more than allowed, to detect a file that is too long
        let result = MultiGzDecoder::new(&bytes[..]).take(MAX_BYTES + 1).read_to_end(&mut unpacked);
        result.map_err(|error| DataError::Gzip {
            file: file.clone(),
            read: unpacked.len(),
            message: error.to_string(),
        })?;
        bytes = unpacked;
    }
    parse(&file, bytes, dimensions)
}

fn parse(path: &Path, mut bytes: Vec<u8>, dimensions: usize) -> Result<Idx, DataError> {
    let header = 4 + 4 * dimensions;
    if bytes.len() < header {
        return Err(DataError::Truncated { file: path.into(), found: bytes.len(), expected: header });
    }
    let format = |offset, found, expected| DataError::Format { file: path.into(), offset, found, expected };
    let magic = [0, 0, 8, dimensions as u8];
    if bytes[..4] != magic {
        let expected = format!("the magic number {magic:02x?} (unsigned bytes, {dimensions} sizes)");
        return Err(format(0, format!("{:02x?}", &bytes[..4]), expected));
    }
    let size = |index: usize| {
        let at = 4 + 4 * index;
        u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
    };
    let sizes: Vec<usize> = (0..dimensions).map(size).collect();
    if let Some(index) = sizes.iter().position(|&size| size == 0) {
        return Err(format(4 + 4 * index, "a size of 0".into(), "at least 1".into()));
    }
    let values = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let Some(expected) = values.and_then(|n| n.checked_add(header)).filter(|&n| n as u64 <= MAX_BYTES) else {
        return Err(format(4, format!("the sizes {sizes:?}"), format!("at most {MAX_BYTES} bytes in total")));
    };
    if bytes.len() < expected {
        return Err(DataError::Truncated { file: path.into(), found: bytes.len(), expected });
    }
    if bytes.len() > expected {
        return Err(DataError::TooLong { file: path.into(), expected });
    }
    bytes.drain(..header);
    Ok(Idx { sizes, values: bytes })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn good() -> Vec<u8> {
        [&[0u8, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3], &[1u8, 2, 3, 4, 5, 6][..]].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Result<Idx, DataError> {
        read(Found { file: "file".into(), bytes: bytes.to_vec() }, 3)
    }

    #[test]
    fn reads_plain_and_gzipped() {
        let expected = Idx { sizes: vec![2, 1, 3], values: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(read_bytes(&good()).unwrap(), expected);
        assert_eq!(read_bytes(&gzip(&good())).unwrap(), expected);
    }

    #[test]
    fn names_what_is_wrong() {
        let error = |bytes: &[u8]| read_bytes(bytes).unwrap_err();
        let mut wrong_magic = good();
        wrong_magic[3] = 1;
        let text = error(&wrong_magic).to_string();
        assert!(
            text.contains("byte 0: found [00, 00, 08, 01], expected the magic number [00, 00, 08, 03]"),
            "{text}"
        );
        assert!(matches!(error(&good()[..20]), DataError::Truncated { found: 20, expected: 22, .. }));
        assert!(matches!(error(&good()[..9]), DataError::Truncated { found: 9, expected: 16, .. }));
        assert!(matches!(error(&[good(), vec![0]].concat()), DataError::TooLong { expected: 22, .. }));
        let packed = gzip(&good());
        assert!(matches!(error(&packed[..packed.len() - 9]), DataError::Gzip { .. }));
        let mut huge = good();
        huge[4..8].fill(0xff);
        huge[8..12].fill(0xff);
        assert!(matches!(error(&huge), DataError::Format { offset: 4, .. }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), keep_magic: bool) {
            let mut bytes = bytes;
            if keep_magic && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&[0, 0, 8, 3]);
            }
            let _ = read_bytes(&bytes);
            let _ = read_bytes(&gzip(&bytes));
        }

        #[test]
        fn cut_or_flipped_gzip_is_an_error_or_the_truth(cut in 0usize..40, flip in 0usize..40) {
            let mut packed = gzip(&good());
            packed.truncate(packed.len().saturating_sub(cut));
            if let Some(byte) = packed.get_mut(flip) {
                *byte ^= 1;
            }
            if let Ok(idx) = read_bytes(&packed) {
                prop_assert_eq!(idx.values, [1, 2, 3, 4, 5, 6]);
            }
        }
    }
}
