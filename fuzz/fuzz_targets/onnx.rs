//! The bytes of an ONNX file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use walk_arch::Problem;

fuzz_target!(|bytes: &[u8]| {
    let problem = Problem { input: vec![3, 8, 8], classes: 4 };
    if let Ok(graph) = onnx::build_from_bytes(bytes, Path::new("/nonexistent"), &problem) {
        let _ = graph.check(&problem);
    }
});
