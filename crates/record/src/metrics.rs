//! `metrics.jsonl`: written line by line, read up to its last complete line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{RecordError, Row};

/// Appends rows, each in one write, so that a kill can cut only the last line.
///
/// A run resumed from a checkpoint measures again what was written after that checkpoint. Those rows are compared with the
/// ones on disk, byte for byte, and only what follows them is appended, so that nothing written is ever removed.
#[derive(Debug)]
pub struct MetricsWriter {
    path: PathBuf,
    file: File,
    /// Bytes of the rows so far.
    len: u64,
    /// Rows on disk that must be written again.
    ahead: Vec<u8>,
    /// Bytes of them that have been.
    met: usize,
}

impl MetricsWriter {
    /// Opens the file for appending. Its first `kept` bytes are trusted; the complete rows after them must be written again.
    /// Whatever follows the last complete row, a line cut by a kill or garbage, is moved to a separate file.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the file cannot be opened, [`RecordError::Short`] if it has fewer than `kept` bytes.
    pub(crate) fn open(path: &Path, kept: u64) -> Result<Self, RecordError> {
        let io = |action| RecordError::io(path, action);
        let bytes = std::fs::read(path).map_err(io("read"))?;
        let Some(tail) = bytes.get(kept as usize..) else {
            return Err(RecordError::Short { path: path.into(), found: bytes.len() as u64, expected: kept });
        };
        let mut whole = 0;
        for line in tail.split_inclusive(|&byte| byte == b'\n') {
            let row = line.strip_suffix(b"\n").map(Row::from_json);
            if !matches!(row, Some(Ok(_))) {
                break;
            }
            whole += line.len();
        }
        let file = OpenOptions::new().append(true).open(path).map_err(io("opened"))?;
        if whole < tail.len() {
            let garbage = path.with_extension("garbage");
            std::fs::write(&garbage, &tail[whole..]).map_err(io("cleaned"))?;
            file.set_len(kept + whole as u64).map_err(io("cleaned"))?;
        }
        Ok(Self { path: path.into(), file, len: kept, ahead: tail[..whole].to_vec(), met: 0 })
    }

    /// Appends a row, or matches it with the one on disk.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the disk refuses it, [`RecordError::Differs`] if another row is there.
    pub fn write(&mut self, row: &Row) -> Result<(), RecordError> {
        let mut line = row.to_json()?.into_bytes();
        line.push(b'\n');
        let ahead = &self.ahead[self.met..];
        if ahead.is_empty() {
            self.file.write_all(&line).map_err(RecordError::io(&self.path, "written"))?;
        } else if ahead.starts_with(&line) {
            self.met += line.len();
        } else {
            return Err(RecordError::Differs { path: self.path.clone(), byte: self.len });
        }
        self.len += line.len() as u64;
        Ok(())
    }

    /// Bytes of the rows so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Waits until all rows are on disk.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the disk fails.
    pub fn sync(&self) -> Result<(), RecordError> {
        self.file.sync_data().map_err(RecordError::io(&self.path, "written"))
    }
}

/// The rows up to the last complete line; a line cut by a kill is left out.
///
/// # Errors
/// [`RecordError::Io`] if the file cannot be read, [`RecordError::Line`] for a complete line that is not a record.
pub fn read_metrics(path: &Path) -> Result<Vec<Row>, RecordError> {
    parse(path, &read(path)?)
}

/// The rows in the first `len` bytes.
///
/// # Errors
/// See [`read_metrics`].
pub(crate) fn read_metrics_until(path: &Path, len: u64) -> Result<Vec<Row>, RecordError> {
    let bytes = read(path)?;
    parse(path, &bytes[..bytes.len().min(len as usize)])
}

fn read(path: &Path) -> Result<Vec<u8>, RecordError> {
    std::fs::read(path).map_err(RecordError::io(path, "read"))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Row>, RecordError> {
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let lines = bytes[..whole].split(|&byte| byte == b'\n').take_while(|line| !line.is_empty());
    let row = |(line, text): (usize, &[u8])| {
        Row::from_json(text).map_err(|message| RecordError::Line { path: path.into(), line, message })
    };
    (1..).zip(lines).map(row).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rows::{Ended, Interpolation, Kind, Mode, Train};
    use crate::{BatchNorm, EvaluationData, Measured, Stamp, measured};

    fn rows() -> Vec<Row> {
        let row = |step: u64, kind: Kind| Row { at: Stamp { epoch: 1, iteration: 1, step }, kind };
        let train = |step| {
            let (loss, grad_norm) = ((0.1 + 0.2 * step as f64).into(), 1e-300.into());
            row(step, Train { loss, grad_norm, lr: 0.1 }.into())
        };
        let segment = Interpolation {
            alphas: vec![0.0, 0.5, 1.0],
            losses: measured(&[1.0 / 3.0, f64::NAN, 2.0]),
            barrier: Some(false),
            height: (-1.9).into(),
            depth: 1.0.into(),
            min_alpha: 0.5.into(),
            min_loss: f64::INFINITY.into(),
            landing: Measured::MISSING,
            samples: 100,
            evaluations: 0,
            batch_norm: BatchNorm::Batch,
            statistics_samples: None,
            evaluation: EvaluationData::Fixed,
            mode: Mode::Adaptive,
            ended: Some(Ended::NoBarrier),
            depth_error: 0.25.into(),
            min_loss_error: Measured::MISSING,
            min_alpha_interval: Some([0.0, 0.5]),
        };
        vec![train(1), row(2, segment.into()), train(3)]
    }

    fn written() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, []).unwrap();
        let mut writer = MetricsWriter::open(&path, 0).unwrap();
        rows().iter().for_each(|row| writer.write(row).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        (dir, path, bytes)
    }

    #[test]
    fn rows_come_back_bit_for_bit() {
        let (_dir, path, bytes) = written();
        assert_eq!(read_metrics(&path).unwrap(), rows());
        let first = String::from_utf8_lossy(&bytes).lines().next().unwrap().to_owned();
        assert!(
            first.starts_with(
                r#"{"kind":"train","epoch":1,"iteration":1,"step":1,"loss":0.30000000000000004"#
            )
        );
    }

    #[test]
    fn a_file_cut_at_any_byte_reads_up_to_its_last_whole_line() {
        let (_dir, path, bytes) = written();
        for cut in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let whole = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(read_metrics(&path).unwrap(), rows()[..whole]);
        }
    }

    #[test]
    fn rows_come_again_and_go_on_after_a_cut_at_any_byte_and_with_garbage_behind() {
        let (_dir, path, bytes) = written();
        let first = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for (cut, garbage) in (first..=bytes.len()).flat_map(|cut| [(cut, &b""[..]), (cut, b"\0\0\n{}\nx")]) {
            let damaged = [&bytes[..cut], garbage].concat();
            std::fs::write(&path, &damaged).unwrap();
            let mut writer = MetricsWriter::open(&path, first as u64).unwrap();
            // what was removed is kept in another file
            let kept = std::fs::read(&path).unwrap();
            assert!(bytes.starts_with(&kept));
            if kept.len() < damaged.len() {
                let garbage = std::fs::read(path.with_extension("garbage")).unwrap();
                assert_eq!([kept, garbage].concat(), damaged);
            }
            rows()[1..].iter().for_each(|row| writer.write(row).unwrap());
            assert_eq!((std::fs::read(&path).unwrap(), writer.len()), (bytes.clone(), bytes.len() as u64));
        }
        let mut writer = MetricsWriter::open(&path, first as u64).unwrap();
        assert!(matches!(writer.write(&rows()[2]), Err(RecordError::Differs { .. })));
        assert!(matches!(MetricsWriter::open(&path, 1 << 20), Err(RecordError::Short { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("metrics.jsonl");
            std::fs::write(&path, &bytes).unwrap();
            let _ = read_metrics(&path);
        }
    }
}
