//! TensorBoard event files: protocol buffer records, each with masked CRC-32C checksums of its length and its bytes.
//!
//! The format is that of TensorFlow's `record_writer.h` and `event.proto`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::file::create_folder;
use crate::{RecordError, Row, Scalar};

/// Writes the scalars of rows, each under its name and at its step.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Creates a new file in `folder` with the scalars of `rows`; event files left by an earlier attempt are removed.
    ///
    /// # Errors
    /// [`RecordError::NotAFolder`] or [`RecordError::Io`] if it cannot be written.
    pub fn create(folder: &Path, rows: &[Row]) -> Result<Self, RecordError> {
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(PREFIX) && name.ends_with(SUFFIX)
        };
        let now = now();
        let path = folder.join(format!("{PREFIX}{}.{}{SUFFIX}", now as u64, std::process::id()));
        create_folder(folder)?;
        let make = || {
            let old: Vec<PathBuf> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
            old.iter().filter(|path| is_ours(path)).try_for_each(fs::remove_file)?;
            File::create(&path)
        };
        let file = make().map_err(RecordError::io(&path, "created"))?;
        let mut writer = Self { path, file };
        let mut bytes = record(&version(now));
        bytes.extend(rows.iter().flat_map(|row| records(row, now)));
        writer.append(&bytes)?;
        Ok(writer)
    }

    /// Adds a row's scalars.
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be written.
    pub fn write(&mut self, row: &Row) -> Result<(), RecordError> {
        self.append(&records(row, now()))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        self.file.write_all(bytes).map_err(RecordError::io(&self.path, "written"))
    }
}

const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".sgdwalk";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A row's scalars as records.
fn records(row: &Row, wall_time: f64) -> Vec<u8> {
    let name = |scalar: &Scalar| format!("{}/{}", row.kind.name(), scalar.name);
    let scalars = row.kind.scalars();
    let values = scalars.iter().filter_map(|scalar| Some((name(scalar), scalar.value.get()? as f32)));
    values.flat_map(|(name, value)| record(&event(wall_time, row.at.step, &name, value))).collect()
}

/// A record: length, its checksum, the bytes, their checksum.
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

/// CRC-32 with Castagnoli's polynomial, bit by bit; fast enough, since a record has about fifty bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    })
}

/// Rotated and offset, because a checksum of data that contains its own checksum is weak.
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
