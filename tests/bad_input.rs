//! Bad input ends in one clear line and exit code 2.

use std::io::Write;

use crate::support::{Bench, GOOD, skipped};
use flate2::{Compression, write::GzEncoder};

/// Runs `text` as an experiment and checks that the one line on standard error has every part.
fn refused(bench: &Bench, text: &str, parts: &[&str]) {
    bench.write("exp.toml", text.as_bytes());
    let ran = bench.run(&["exp.toml", "--out", "run"]);
    assert_eq!(ran.code, 2, "{text}\n{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    }
    assert!(!bench.path("run").exists(), "a refused experiment leaves no folder");
}

#[test]
fn experiments_that_cannot_be_used() {
    let bench = Bench::new("");
    let change = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        GOOD.replace(from, to)
    };
    let cases: &[(String, &[&str])] = &[
        (change("epochs = 2\n", "epochs = \n"), &["exp.toml:1", "not valid TOML"]),
        (
            change("epochs = 2\n", "epochs = 99999999999999999999\n"),
            &["exp.toml:1", "99999999999999999999, expected a whole number from", "to 9223372036854775807"],
        ),
        (change("lr = 0.1", "lrr = 0.1"), &["exp.toml:13", "no key `lrr`", "did you mean `lr`?"]),
        (change("[optim]", "[optin]"), &["exp.toml:12", "no key `optin`", "did you mean `optim`?"]),
        (change("lr = 0.1", "lr = \"fast\""), &["exp.toml:13", "`optim.lr` = \"fast\", expected a number"]),
        (change("lr = 0.1\n", ""), &["exp.toml:12", "`optim.lr` is missing"]),
        (
            change("lr = 0.1", "lr = inf"),
            &["exp.toml:13", "`optim.lr` = inf, expected a finite number above 0"],
        ),
        (change("lr = 0.1", "lr = nan"), &["exp.toml:13", "`optim.lr` = NaN"]),
        (
            change("lr = 0.1", "lr = -1"),
            &["exp.toml:13", "`optim.lr` = -1, expected a finite number above 0"],
        ),
        (
            change("batch_size = 50", "batch_size = 301"),
            &["exp.toml:14", "expected 1 to 300, the number of training samples"],
        ),
        (
            change("epochs = 2\n", "epochs = 0\n"),
            &["exp.toml:1", "`epochs` = 0, expected a whole number from 1 to 4294967295"],
        ),
        (
            change("\"digits\"", "\"digit\""),
            &["exp.toml:8", "`data.set` = \"digit\"", "did you mean \"digits\"?"],
        ),
        (change("train = 300", "train = 1797"), &["exp.toml:9", "`data.train` = 1797, expected 1 to 1796"]),
        (
            change("train = 300", "train = \"many\""),
            &["exp.toml:9", "`data.train`", "expected a number of images, a range [first, end] or \"test\""],
        ),
        (change("train = 300", "train = [0, 1, 2]"), &["exp.toml:9", "`data.train", "[first, end]"]),
        (
            change("train = 300", "train = [1500, 1750]"),
            &["exp.toml:10", "images that are not in the training part, 1500..1750"],
        ),
        (
            change("valid = 100", "valid = 100\nsubset = 301"),
            &["exp.toml:11", "`data.subset` = 301, expected 1 to 300"],
        ),
        (
            change("valid = 100", "valid = 100\naugment = { crop_pading = 2 }"),
            &["exp.toml:11", "no key `crop_pading`", "did you mean `crop_padding`?"],
        ),
        (
            change("batch_size = 50", "batch_size = 50\nmethod = \"gd\"\ndrop_last = true"),
            &["exp.toml:16", "`optim.drop_last` = true, expected false"],
        ),
        (
            change("[1, 2], iter", "[1, 25], iter"),
            &["exp.toml:17", "`probe.interpolation.when.epochs` = [1, 25]"],
        ),
        (
            change("widths = [16]", "widhts = [16]"),
            &[
                "exp.toml:5",
                "no option `widhts`, did you mean `widths`?",
                "the options are widths, activation, batch_norm",
            ],
        ),
        (
            change("widths = [16]", "widths = [0]"),
            &["exp.toml:5", "`widths` = [0], expected a list of whole numbers from 1"],
        ),
        (change("\"mlp\"", "\"mpl\""), &["exp.toml:4", "no plugin \"mpl\"", "did you mean \"mlp\"?"]),
        (
            change("\"mlp\"", "\"./nowhere.so\""),
            &["exp.toml:4", "./nowhere.so: neither a library nor a crate"],
        ),
        (
            format!("{GOOD}mode = \"adaptive\"\nchunk = 70\n"),
            &["exp.toml:19", "`probe.interpolation.chunk` = 70, expected a divisor of 300"],
        ),
        (
            format!("{GOOD}mode = \"adaptive\"\nevaluation = \"paper\"\n"),
            &["exp.toml:18", "`probe.interpolation.mode` = \"adaptive\", expected \"exact\""],
        ),
        (
            format!("{GOOD}[probe.spectrum]\nwhen = {{}}\nvalues = 0\n"),
            &["exp.toml:20", "`probe.spectrum.values` = 0, expected at least 1"],
        ),
        (
            format!("{GOOD}[probe.covariance]\nwhen = {{}}\nchunk = 150\n")
                .replace("widths = [16]", "widths = [16], batch_norm = true"),
            &[
                "exp.toml:20",
                "`probe.covariance.chunk` = 150, expected at most 100, so that 300 samples make 3 chunks",
            ],
        ),
        (
            format!("{GOOD}[probe.spectrum]\nwhen = {{}}\nsamples = 60\nsubsets = 6\n"),
            &["exp.toml:21", "`probe.spectrum.subsets` = 6, expected at most 5"],
        ),
        (
            format!("{GOOD}[probe.spectrum]\nwhen = {{}}\nsubsets = 2\n"),
            &["exp.toml:20", "`probe.spectrum.subsets` = 2, expected 1: `samples`"],
        ),
        (
            format!("{GOOD}[probe.spectra]\nwhen = {{}}\n"),
            &["exp.toml:18", "no key `spectra`", "did you mean `spectrum`?"],
        ),
        (
            format!("{GOOD}[probe.line]\nwhen = {{}}\nfrom = \"none.safetensors\"\n"),
            &["exp.toml:20", "`probe.line.from` = \"none.safetensors\"", "a readable safetensors file"],
        ),
        (
            format!("{GOOD}[probe.alignment]\nwhen = {{ every = 0 }}\n"),
            &["exp.toml:19", "`probe.alignment.when.every` = 0, expected at least 1"],
        ),
        (format!("name = \"../x\"\n{GOOD}"), &["exp.toml:1", "it names a folder"]),
        (format!("device = \"cuda\"\n{GOOD}"), &["exp.toml:1", "scripts/build_cuda.sh"]),
    ];
    for (text, parts) in cases {
        refused(&bench, text, parts);
    }
    let ran = bench.run(&["nowhere.toml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("nowhere.toml: cannot read the experiment"), "{}", ran.stderr);
}

#[test]
fn mnist_files_that_cannot_be_used() {
    let bench = Bench::new("");
    let text = GOOD.replace(
        "set = \"digits\"\ntrain = 300\nvalid = 100",
        "set = \"mnist\"\ndir = \"mnist\"\ntrain = 2\nvalid = 1",
    );
    let text = text.replace("batch_size = 50", "batch_size = 2").replace(", iterations = [1, 3]", "");
    refused(
        &bench,
        &text.replace("dir = \"mnist\"\n", ""),
        &["exp.toml:7", "data/mnist: not found", "data fetch mnist --dir data/mnist"],
    );
    refused(&bench, &text, &["mnist: not found", "train-images-idx3-ubyte.gz", "set `data.dir`"]);
    let images = [&[0u8, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1][..], &[1, 2, 3]].concat();
    let labels = |values: &[u8]| [&[0u8, 0, 8, 1, 0, 0, 0, 3][..], values].concat();
    bench.write("mnist/train-images-idx3-ubyte", &images);
    refused(&bench, &text, &["mnist: this folder has no train-labels-idx1-ubyte", "data fetch mnist"]);
    bench.write("mnist/train-labels-idx1-ubyte", &labels(&[1, 2, 11]));
    refused(&bench, &text, &["train-labels-idx1-ubyte", "record 2 has the label 11, expected one below 10"]);
    bench.write("mnist/train-labels-idx1-ubyte", &labels(&[1, 2]));
    refused(&bench, &text, &["the file ends after 10 of 11 bytes"]);
    bench.write("mnist/train-labels-idx1-ubyte", &images);
    refused(&bench, &text, &["byte 0: found [00, 00, 08, 03], expected the magic number [00, 00, 08, 01]"]);
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder.write_all(&labels(&[1, 2, 3])).unwrap();
    let packed = encoder.finish().unwrap();
    std::fs::remove_file(bench.path("mnist/train-labels-idx1-ubyte")).unwrap();
    bench.write("mnist/train-labels-idx1-ubyte.gz", &packed[..packed.len() - 6]);
    refused(&bench, &text, &["train-labels-idx1-ubyte.gz", "broken gzip data after"]);
    bench.write("mnist/train-labels-idx1-ubyte.gz", &packed);
    bench.write("exp.toml", text.as_bytes());
    bench.run_into("run", &[]);
}

#[test]
fn a_file_in_the_place_of_a_folder_is_named() {
    let bench = Bench::new(GOOD);
    bench.run_into("run", &["--quiet"]);
    bench.write("file", b"");
    let occupied = "already exists and is not a run folder; choose another folder with --out";
    let blocked = "is not a folder, but files must be written into a folder of this name";
    let cases: &[(&[&str], &str, &str)] = &[
        (&["exp.toml", "--out", "file"], "file", occupied),
        (&["exp.toml", "--out", "/dev/null"], "/dev/null", occupied),
        (&["check", "exp.toml", "--out", "file"], "file", occupied),
        (&["exp.toml", "--out", "file/x"], "file", blocked),
        (&["exp.toml", "--seeds", "1", "--out", "file/x"], "file", blocked),
        (&["export", "run", "--out", "file"], "file", blocked),
        (&["report", "run", "--out", "file/x"], "file", blocked),
        (&["exp.toml", "--out", "run"], "run", "already exists and will not be overwritten"),
        (
            &["exp.toml", "--set", "data.set=folder", "--set", "data.dir=file"],
            "file",
            "is a file, expected a folder with",
        ),
    ];
    for (arguments, place, part) in cases {
        let ran = bench.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(&format!("{place}: {part}")), "{arguments:?}: {}", ran.stderr);
    }
    std::fs::remove_dir_all(bench.path("run/figures")).unwrap();
    bench.write("run/figures", b"");
    let ran = bench.run(&["report", "run"]);
    assert!(ran.code == 1 && ran.stderr.contains(&format!("run/figures: {blocked}")), "{}", ran.stderr);
    std::fs::remove_dir_all(bench.path("run/checkpoints")).unwrap();
    bench.write("run/checkpoints", b"");
    let ran = bench.run(&["resume", "run", "--epochs", "3"]);
    assert!(ran.stderr.contains(&format!("run/checkpoints: {blocked}")), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission_is_not_called_something_else() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    let bench = Bench::new(GOOD);
    bench.run_into("run", &["--quiet"]);
    let allow = |name: &str, mode: u32| {
        std::fs::set_permissions(bench.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow("", 0o755);
    allow("run", 0o000);
    let report = |other_user: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sgdwalk"));
        command.args(["report", "run"]).current_dir(bench.path(""));
        if other_user {
            command.uid(65_534);
        }
        command.output()
    };
    // root may read everything, but need not be root to try; others cannot become someone else
    let is_root = std::fs::read_dir(bench.path("run")).is_ok();
    let ended = report(is_root);
    allow("run", 0o755);
    let Ok(ended) = ended else {
        return skipped(
            "a_folder_without_permission_is_not_called_something_else needs a program that others may run",
        );
    };
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(stderr.contains("run: cannot be read: Permission denied"), "{stderr}");
    assert_eq!(ended.status.code(), Some(2));
}
