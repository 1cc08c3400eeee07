//! TensorBoard's event files: records of protocol buffers, each with masked CRC-32C sums of its length and its bytes.
//!
//! The format is that of TensorFlow's `record_writer.h` and `event.proto`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{RecordError, Row};

/// Writes what rows measured as scalars, each under a name and at its number of updates.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// A new file in `folder`, in place of those of an earlier try, with what `rows` measured.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the disk refuses it.
    pub fn create(folder: &Path, rows: &[Row]) -> Result<Self, RecordError> {
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(PREFIX) && name.ends_with(SUFFIX)
        };
        let now = now();
        let path = folder.join(format!("{PREFIX}{}.{}{SUFFIX}", now as u64, std::process::id()));
        let make = || {
            fs::create_dir_all(folder)?;
            let old: Vec<PathBuf> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
            old.iter().filter(|path| is_ours(path)).try_for_each(fs::remove_file)?;
            File::create(&path)
        };
        let file =
            make().map_err(|source| RecordError::Io { path: path.clone(), action: "created", source })?;
        let mut writer = Self { path, file };
        let mut bytes = record(&version(now));
        bytes.extend(rows.iter().flat_map(|row| records(row, now)));
        writer.append(&bytes)?;
        Ok(writer)
    }

    /// Adds what a row measured.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the disk refuses it.
    pub fn write(&mut self, row: &Row) -> Result<(), RecordError> {
        self.append(&records(row, now()))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        let io = |source| RecordError::Io { path: self.path.clone(), action: "written", source };
        self.file.write_all(bytes).map_err(io)
    }
}

const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".sgdwalk";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// What a row measured, by name.
fn scalars(row: &Row) -> Vec<(String, f64)> {
    let named =
        |values: &[(&str, f64)]| values.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    match row {
        Row::Train(row) => {
            named(&[("train/loss", row.loss), ("train/grad_norm", row.grad_norm), ("train/lr", row.lr)])
        }
        Row::Epoch(row) => named(&[
            ("epoch/train_loss", row.train_loss),
            ("epoch/valid_loss", row.valid_loss),
            ("epoch/valid_accuracy", row.valid_accuracy),
        ]),
        Row::Interpolation(row) => {
            let mut values = vec![
                ("interpolation/barrier", f64::from(u8::from(row.barrier))),
                ("interpolation/height", row.height),
                ("interpolation/depth", row.depth),
                ("interpolation/min_alpha", row.min_alpha),
                ("interpolation/min_loss", row.min_loss),
            ];
            values.extend(row.landing.map(|landing| ("interpolation/landing", landing)));
            named(&values)
        }
        Row::Noise(row) => named(&[("noise/mean_loss", row.mean_loss), ("noise/sigma", row.sigma)]),
        Row::Cosine(row) => {
            let plain = row.cosine.map(|cosine| ("cosine/cosine".to_owned(), cosine));
            let decayed = row.cosine_with_decay.map(|cosine| ("cosine/cosine_with_decay".to_owned(), cosine));
            plain.into_iter().chain(decayed).collect()
        }
        Row::Distance(row) => named(&[("distance/distance", row.distance)]),
        Row::Alignment(row) => {
            let name = |what: &str| format!("alignment/{what}/batch_size_{}", row.batch_size);
            vec![(name("mean"), row.mean), (name("deviation"), row.deviation)]
        }
        Row::Covariance(row) => {
            named(&[("covariance/trace", row.trace), ("covariance/full_grad_norm_sq", row.full_grad_norm_sq)])
        }
        Row::Spectrum(row) => {
            let values = row.values.iter().enumerate();
            let mut scalars: Vec<(String, f64)> =
                values.map(|(k, &value)| (format!("spectrum/eigenvalue_{}", k + 1), value)).collect();
            scalars.push(("spectrum/gradient_share".into(), row.gradient_share));
            scalars.extend(row.trace.map(|[trace, _]| ("spectrum/trace".to_owned(), trace)));
            scalars
        }
        Row::Line(row) => {
            named(&[("line/loss_barrier", row.loss_barrier), ("line/error_barrier", row.error_barrier)])
        }
        Row::Plane(_) | Row::Order(_) => vec![],
    }
}

/// A row's scalars as records.
fn records(row: &Row, wall_time: f64) -> Vec<u8> {
    let (_, _, step) = row.at();
    scalars(row)
        .iter()
        .flat_map(|(name, value)| record(&event(wall_time, step, name, *value as f32)))
        .collect()
}

/// A record: length, its sum, the bytes, their sum.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let sum = |bytes: &[u8]| masked(crc32c(bytes)).to_le_bytes();
    [length.as_slice(), &sum(&length), bytes, &sum(bytes)].concat()
}

/// `Event { wall_time = 1, file_version = 3 }`
fn version(wall_time: f64) -> Vec<u8> {
    [field_f64(1, wall_time), field_bytes(3, b"brain.Event:2")].concat()
}

/// `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } } }`
fn event(wall_time: f64, step: u64, tag: &str, value: f32) -> Vec<u8> {
    let scalar = [field_bytes(1, tag.as_bytes()), [&[0x15][..], &value.to_le_bytes()].concat()].concat();
    let number = [vec![0x10], varint(step)].concat();
    [field_f64(1, wall_time), number, field_bytes(5, &field_bytes(1, &scalar))].concat()
}

fn field_f64(field: u8, value: f64) -> Vec<u8> {
    [&[field << 3 | 1][..], &value.to_le_bytes()].concat()
}

fn field_bytes(field: u8, bytes: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2][..], &varint(bytes.len() as u64), bytes].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// CRC-32 with Castagnoli's polynomial, bit by bit: a record has some fifty bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    })
}

/// Turned and moved, since sums of data that hold sums of themselves are weak.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_castagnolis() {
        // RFC 3720, B.4
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn numbers_are_as_protocol_buffers_have_them() {
        assert_eq!(varint(1), [1]);
        assert_eq!(varint(300), [0xac, 2]);
        assert_eq!(field_bytes(3, b"ab"), [0x1a, 2, b'a', b'b']);
    }
}
