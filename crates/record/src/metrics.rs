//! `metrics.jsonl`: written line by line, read up to its last whole line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{RecordError, Row};

/// Appends rows, each in one write, so that a kill cuts the last line at most.
#[derive(Debug)]
pub struct MetricsWriter {
    path: PathBuf,
    file: File,
}

impl MetricsWriter {
    /// A new file.
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be created or exists.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let io = |source| RecordError::Io { path: path.into(), action: "created", source };
        let file = OpenOptions::new().append(true).create_new(true).open(path).map_err(io)?;
        Ok(Self { path: path.into(), file })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the disk refuses it.
    pub fn write(&mut self, row: &Row) -> Result<(), RecordError> {
        let unwritable = |error: serde_json::Error| RecordError::Unwritable { message: error.to_string() };
        let mut line = serde_json::to_vec(row).map_err(unwritable)?;
        line.push(b'\n');
        let io = |source| RecordError::Io { path: self.path.clone(), action: "written", source };
        self.file.write_all(&line).map_err(io)
    }
}

/// The rows up to the last whole line; what follows it was cut off by a kill and is left out.
///
/// # Errors
/// [`RecordError::Io`] if the file cannot be read, [`RecordError::Line`] for a whole line that is no record.
pub fn read_metrics(path: &Path) -> Result<Vec<Row>, RecordError> {
    let io = |source| RecordError::Io { path: path.into(), action: "read", source };
    let bytes = std::fs::read(path).map_err(io)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let lines = bytes[..whole].split(|&byte| byte == b'\n').take_while(|line| !line.is_empty());
    let row = |(index, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| RecordError::Line {
            path: path.into(),
            line: index + 1,
            message: error.to_string(),
        })
    };
    lines.enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{InterpolationRow, TrainRow};

    fn rows() -> Vec<Row> {
        let train = |step| {
            let (loss, grad_norm) = (0.1 + 0.2 * step as f64, 1e-300);
            Row::Train(TrainRow { epoch: 1, iteration: 1, step, loss, grad_norm, lr: 0.1 })
        };
        let segment = Row::Interpolation(InterpolationRow {
            epoch: 1,
            iteration: 2,
            step: 2,
            alphas: vec![0.0, 0.5, 1.0],
            losses: vec![1.0 / 3.0, 0.1, 2.0],
            barrier: false,
            height: -1.9,
            depth: 1.0,
            min_alpha: 0.5,
            min_loss: 0.1,
            samples: 100,
            batch_norm: "batch".into(),
            evaluation: "fixed".into(),
            landing: None,
            evaluations: 0,
            mode: "exact".into(),
            ended: None,
            depth_error: None,
            min_loss_error: None,
            min_alpha_interval: None,
        });
        vec![train(1), segment, train(3)]
    }

    fn written() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut writer = MetricsWriter::create(&path).unwrap();
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
        assert!(MetricsWriter::create(&path).is_err());
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
