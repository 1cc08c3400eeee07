#![no_main]
//! Rows of metrics.jsonl: whatever the lines say, they are read or refused, and what is read is written back as it was.

use walk_record::{MetricsMark, Sealed, read_metrics};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("metrics.jsonl");
    std::fs::write(&path, bytes).expect("a file");
    let Ok(rows) = read_metrics(&path, Sealed::Whole(&MetricsMark::of(bytes))) else { return };
    let lines: String = rows.iter().map(|row| row.to_json().expect("a row is JSON") + "\n").collect();
    std::fs::write(&path, &lines).expect("a file");
    let again = read_metrics(&path, Sealed::Whole(&MetricsMark::of(lines.as_bytes())));
    assert_eq!(again.expect("what was written is read"), rows);
});
