//! `sgdwalk selfcheck`.

use crate::support::Bench;

#[test]
fn both_devices_on_the_processor_pass() {
    let bench = Bench::new("");
    for device in ["cpu", "cpu_composite"] {
        let ran = bench.run(&["selfcheck", "--device", device, "--only", "mlp"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        for row in ["│ conv2d, Winograd F(4x4)", "│ softmax", "│ mlp", "│ bound"] {
            assert!(ran.stdout.contains(row), "{row} in {}", ran.stdout);
        }
    }
}

#[test]
fn a_device_that_is_not_there_is_refused_in_one_line() {
    let ran = Bench::new("").run(&["selfcheck", "--device", "cuda"]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("scripts/build_cuda.sh"), "{}", ran.stderr);
}
