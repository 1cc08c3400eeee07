//! A mark in `metrics.jsonl`: its length at some point, and a hash of the contents up to there.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::RecordError;

/// Identifies the first rows of `metrics.jsonl` by size and hash, which detects rows that are changed, lost or added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsMark {
    /// Bytes of the rows.
    pub bytes: u64,
    /// Their number.
    pub lines: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// No rows.
impl Default for MetricsMark {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl MetricsMark {
    pub(crate) fn new(bytes: u64, lines: u64, hash: Sha256) -> Self {
        Self { bytes, lines, sha256: format!("{:x}", hash.finalize()) }
    }

    /// The mark of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
        Self::new(bytes.len() as u64, lines as u64, Sha256::new_with_prefix(bytes))
    }

    /// Splits the bytes of the file `path` into the marked part and the rest.
    pub(crate) fn split<'a>(
        &self,
        path: &Path,
        bytes: &'a [u8],
    ) -> Result<(&'a [u8], &'a [u8]), RecordError> {
        let length = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let Some((head, tail)) = bytes.split_at_checked(length) else {
            let (found, expected) = (bytes.len() as u64, self.bytes);
            return Err(RecordError::Short { path: path.into(), found, expected });
        };
        if Self::of(head).sha256 == self.sha256 {
            Ok((head, tail))
        } else {
            Err(RecordError::Changed { path: path.into(), lines: self.lines })
        }
    }

    /// The mark as integers, for a checkpoint.
    pub fn to_words(&self) -> Vec<u64> {
        let hash = self.sha256.as_bytes().chunks(16).map(|digits| {
            let digits = std::str::from_utf8(digits).unwrap_or_default();
            u64::from_str_radix(digits, 16).unwrap_or_default()
        });
        [self.bytes, self.lines].into_iter().chain(hash).collect()
    }

    /// The inverse of [`MetricsMark::to_words`].
    pub fn from_words(words: &[u64]) -> Option<Self> {
        let &[bytes, lines, ref hash @ ..] = words else { return None };
        let sha256: String = hash.iter().map(|word| format!("{word:016x}")).collect();
        (hash.len() == 4).then_some(Self { bytes, lines, sha256 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_from_its_words_and_knows_its_bytes() {
        let mark = MetricsMark::of(b"a\nb\n");
        assert_eq!((mark.bytes, mark.lines), (4, 2));
        assert_eq!(MetricsMark::from_words(&mark.to_words()), Some(mark.clone()));
        assert_eq!(MetricsMark::from_words(&mark.to_words()[1..]), None);
        let path = Path::new("metrics.jsonl");
        assert_eq!(mark.split(path, b"a\nb\nc").unwrap(), (&b"a\nb\n"[..], &b"c"[..]));
        assert!(matches!(mark.split(path, b"a\nB\n"), Err(RecordError::Changed { lines: 2, .. })));
        assert!(matches!(mark.split(path, b"a\n"), Err(RecordError::Short { found: 2, expected: 4, .. })));
    }
}
