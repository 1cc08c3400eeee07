//! `metrics.jsonl`: written line by line, read up to its last complete line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{MetricsMark, RecordError, Row};

/// Appends rows, each in a single write, so that a kill can truncate only the last line.
///
/// A run resumed from a checkpoint repeats the measurements written after that checkpoint. These rows are compared with the
/// ones on disk, byte for byte, and only the rows after them are appended, so nothing written is ever removed.
#[derive(Debug)]
pub struct MetricsWriter {
    path: PathBuf,
    file: File,
    /// Bytes and lines of the rows so far, and their hash.
    bytes: u64,
    lines: u64,
    hash: Sha256,
    /// Rows on disk that must be reproduced.
    ahead: Vec<u8>,
    /// How many bytes of them have been.
    met: usize,
}

impl MetricsWriter {
    /// Opens the file for appending. It must start with the rows that `kept` marks; the complete rows after them must be
    /// written again. Anything after the last complete row (a line truncated by a kill, or garbage) is moved to a separate file.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the file cannot be opened, [`RecordError::Short`] or [`RecordError::Changed`] if it does not
    /// start with those rows.
    pub(crate) fn open(path: &Path, kept: &MetricsMark) -> Result<Self, RecordError> {
        let bytes = read(path)?;
        let (head, tail) = kept.split(path, &bytes)?;
        let mut whole = 0;
        for line in tail.split_inclusive(|&byte| byte == b'\n') {
            let row = line.strip_suffix(b"\n").map(Row::from_json);
            if !matches!(row, Some(Ok(_))) {
                break;
            }
            whole += line.len();
        }
        let file = OpenOptions::new().append(true).open(path).map_err(RecordError::io(path, "opened"))?;
        cut(path, &file, kept.bytes + whole as u64, &tail[whole..])?;
        let (bytes, lines, hash) = (kept.bytes, kept.lines, Sha256::new_with_prefix(head));
        Ok(Self { path: path.into(), file, bytes, lines, hash, ahead: tail[..whole].to_vec(), met: 0 })
    }

    /// Appends a row, or compares it with the one on disk.
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be written, [`RecordError::Differs`] if the row on disk is different.
    pub fn write(&mut self, row: &Row) -> Result<(), RecordError> {
        let mut line = row.to_json()?.into_bytes();
        line.push(b'\n');
        let ahead = &self.ahead[self.met..];
        if ahead.is_empty() {
            self.file.write_all(&line).map_err(RecordError::io(&self.path, "written"))?;
        } else if ahead.starts_with(&line) {
            self.met += line.len();
        } else {
            return Err(RecordError::Differs { path: self.path.clone(), line: self.lines + 1 });
        }
        self.hash.update(&line);
        self.bytes += line.len() as u64;
        self.lines += 1;
        Ok(())
    }

    /// Ends a run that has measured all its rows: any further contents of the file are moved to the separate file.
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be written.
    pub fn end(&mut self) -> Result<(), RecordError> {
        let surplus = std::mem::take(&mut self.ahead).split_off(self.met);
        self.met = 0;
        cut(&self.path, &self.file, self.bytes, &surplus)
    }

    /// A mark of the rows so far.
    pub fn mark(&self) -> MetricsMark {
        MetricsMark::new(self.bytes, self.lines, self.hash.clone())
    }

    /// Waits until all rows are on disk.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the disk fails.
    pub fn sync(&self) -> Result<(), RecordError> {
        self.file.sync_data().map_err(RecordError::io(&self.path, "written"))
    }
}

/// Truncates the file to `len` bytes and appends the rest to the file `metrics.garbage`.
fn cut(path: &Path, file: &File, len: u64, garbage: &[u8]) -> Result<(), RecordError> {
    if garbage.is_empty() {
        return Ok(());
    }
    let cut = || {
        let mut kept = OpenOptions::new().create(true).append(true).open(path.with_extension("garbage"))?;
        kept.write_all(garbage)?;
        kept.sync_data()?;
        file.set_len(len)
    };
    cut().map_err(RecordError::io(path, "cleaned"))
}

/// What is known about a file of rows.
#[derive(Clone, Copy, Debug)]
pub enum Sealed<'a> {
    /// The rows that it starts with.
    Start(&'a MetricsMark),
    /// All of its rows.
    Whole(&'a MetricsMark),
}

/// Reads the rows up to the last complete line; a line truncated by a kill is left out.
///
/// # Errors
/// [`RecordError::Io`] if the file cannot be read, [`RecordError::Line`] for a complete line that is not a record,
/// [`RecordError::Short`], [`RecordError::Changed`] or [`RecordError::Long`] if the rows are not the known ones.
pub fn read_metrics(path: &Path, sealed: Sealed<'_>) -> Result<Vec<Row>, RecordError> {
    let bytes = read(path)?;
    // an error about a line is more specific than one about the file
    let rows = parse(path, &bytes)?;
    let (Sealed::Start(mark) | Sealed::Whole(mark)) = sealed;
    let (_, tail) = mark.split(path, &bytes)?;
    if matches!(sealed, Sealed::Whole(_)) && !tail.is_empty() {
        return Err(RecordError::Long { path: path.into(), line: mark.lines + 1 });
    }
    Ok(rows)
}

/// The rows that `mark` marks.
///
/// # Errors
/// See [`read_metrics`].
pub(crate) fn read_marked(path: &Path, mark: &MetricsMark) -> Result<Vec<Row>, RecordError> {
    let bytes = read(path)?;
    parse(path, mark.split(path, &bytes)?.0)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, RecordError> {
    std::fs::read(path).map_err(RecordError::io(path, "read"))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Row>, RecordError> {
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let row = |(line, text): (usize, &[u8])| {
        let row =
            if text.trim_ascii().is_empty() { Err("the line is blank".into()) } else { Row::from_json(text) };
        row.map_err(|message| RecordError::Line { path: path.into(), line, message })
    };
    (1..).zip(lines).map(row).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rows::{Audit, Ended, Epoch, Interpolation, Kind, Mode, Train};
    use crate::{BatchNorm, EvaluationData, Measured, MetricsMark, Stamp, measured};

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
            height_error: Measured::MISSING,
            floor_move_error: 1e-3.into(),
            degrees_of_freedom: 9.0.into(),
            audit: Some(Audit { barrier: None, random: false, evaluations: 300 }),
            min_alpha_interval: Some([0.0, 0.5]),
        };
        vec![train(1), row(2, segment.into()), train(3)]
    }

    fn nothing() -> MetricsMark {
        MetricsMark::default()
    }

    fn written() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, []).unwrap();
        let mut writer = MetricsWriter::open(&path, &nothing()).unwrap();
        rows().iter().for_each(|row| writer.write(row).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        (dir, path, bytes)
    }

    #[test]
    fn rows_come_back_bit_for_bit() {
        let (_dir, path, bytes) = written();
        assert_eq!(read_metrics(&path, Sealed::Start(&nothing())).unwrap(), rows());
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
            assert_eq!(read_metrics(&path, Sealed::Start(&nothing())).unwrap(), rows()[..whole]);
        }
    }

    #[test]
    fn rows_come_again_and_go_on_after_a_cut_at_any_byte_and_with_garbage_behind() {
        let (_dir, path, bytes) = written();
        let first = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        let mark = MetricsMark::of(&bytes[..first]);
        for (cut, garbage) in (first..=bytes.len()).flat_map(|cut| [(cut, &b""[..]), (cut, b"\0\0\n{}\nx")]) {
            let damaged = [&bytes[..cut], garbage].concat();
            std::fs::write(&path, &damaged).unwrap();
            let mut writer = MetricsWriter::open(&path, &mark).unwrap();
            // removed content is kept in another file
            let kept = std::fs::read(&path).unwrap();
            assert!(bytes.starts_with(&kept));
            if kept.len() < damaged.len() {
                let garbage = path.with_extension("garbage");
                assert_eq!([kept, std::fs::read(&garbage).unwrap()].concat(), damaged);
                std::fs::remove_file(garbage).unwrap();
            }
            rows()[1..].iter().for_each(|row| writer.write(row).unwrap());
            assert_eq!(
                (std::fs::read(&path).unwrap(), writer.mark()),
                (bytes.clone(), MetricsMark::of(&bytes))
            );
        }
        let mut writer = MetricsWriter::open(&path, &mark).unwrap();
        assert!(matches!(writer.write(&rows()[2]), Err(RecordError::Differs { line: 2, .. })));
        let longer = MetricsMark::of(&[bytes.as_slice(), b"{}\n"].concat());
        assert!(matches!(MetricsWriter::open(&path, &longer), Err(RecordError::Short { .. })));
    }

    #[test]
    fn a_blank_line_is_an_error_with_its_number() {
        let (_dir, path, bytes) = written();
        let first = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for blank in ["\n", "\r\n", "  \n"] {
            std::fs::write(&path, [&bytes[..first], blank.as_bytes(), &bytes[first..]].concat()).unwrap();
            let error = read_metrics(&path, Sealed::Start(&nothing())).unwrap_err().to_string();
            assert!(error.ends_with("metrics.jsonl:2: not a record: the line is blank"), "{error}");
        }
    }

    /// Rows whose numbers are anything a float can be.
    fn any_rows() -> impl Strategy<Value = Vec<Row>> {
        let number = prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(5e-324)];
        let row = (any::<u64>(), number.clone(), number, any::<bool>()).prop_map(|(step, a, b, is_train)| {
            let kind: Kind = if is_train {
                Train { loss: a.into(), grad_norm: b.into(), lr: 0.1 }.into()
            } else {
                Epoch {
                    train_loss: a.into(),
                    train_accuracy: Measured::MISSING,
                    valid_loss: b.into(),
                    valid_accuracy: Measured::MISSING,
                }
                .into()
            };
            Row { at: Stamp { epoch: 1, iteration: 2, step }, kind }
        });
        prop::collection::vec(row, 1..8)
    }

    proptest! {
        #[test]
        fn no_damage_to_a_line_goes_unnoticed(
            rows in any_rows(),
            at in any::<prop::sample::Index>(),
            byte in any::<prop::sample::Index>(),
            damage in 0..4,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("metrics.jsonl");
            std::fs::write(&path, []).unwrap();
            let mut writer = MetricsWriter::open(&path, &nothing()).unwrap();
            rows.iter().for_each(|row| writer.write(row).unwrap());
            let sealed = writer.mark();
            let bytes = std::fs::read(&path).unwrap();
            prop_assert_eq!(&sealed, &MetricsMark::of(&bytes));
            prop_assert_eq!(&read_metrics(&path, Sealed::Whole(&sealed)).unwrap(), &rows);

            let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
            let at = at.index(lines.len());
            match damage {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[at].clone()),
                2 => {
                    let cut = byte.index(lines[at].len());
                    lines[at].truncate(cut);
                }
                _ => lines.insert(at, b"\n".to_vec()),
            }
            let damaged = lines.concat();
            std::fs::write(&path, &damaged).unwrap();
            let read = read_metrics(&path, Sealed::Whole(&sealed));
            prop_assert!(damaged == bytes || read.is_err(), "{:?}", read);
            // a resumed run repeats all rows: it keeps complete and equal ones, or refuses
            match MetricsWriter::open(&path, &nothing()) {
                Ok(mut writer) => {
                    if rows.iter().try_for_each(|row| writer.write(row)).is_ok() {
                        writer.end().unwrap();
                        prop_assert_eq!(std::fs::read(&path).unwrap(), bytes);
                        prop_assert_eq!(writer.mark(), sealed);
                    }
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("metrics.jsonl");
            std::fs::write(&path, &bytes).unwrap();
            let _ = read_metrics(&path, Sealed::Start(&nothing()));
        }
    }
}
