#![no_main]
//! Checkpoints and safetensors files made elsewhere.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = walk_record::parse_checkpoint(bytes);
});
