//! Messages in the words of whoever writes an experiment, with what was probably meant.

use crate::support::{Bench, GOOD};

#[test]
fn a_value_set_on_the_command_line_is_blamed_on_its_option() {
    let bench = Bench::new(GOOD);
    let cases: &[(&[&str], &[&str])] = &[
        (&["--set", "lr=0.1"], &["--set lr=0.1: no key `lr`, did you mean `optim.lr`?"]),
        (&["--set", "lr="], &["the value is missing, expected KEY=VALUE, e.g. optim.lr=0.2"]),
        (&["--set", "device=gpu"], &["--set device=gpu: `device` = \"gpu\"", "did you mean \"cuda\"?"]),
        (&["--set", "loss=squared_eror"], &["did you mean \"squared_error\"?"]),
        (&["--set", "optim.lr=fast"], &["--set optim.lr=fast: `optim.lr` = \"fast\", expected a number"]),
        (&["--set", "epochs=1.5"], &["`epochs` = 1.5, expected a whole number from 1 to"]),
        (&["--set", "epochs=-1"], &["`epochs` = -1, expected a whole number from 1 to 4294967295"]),
        (
            &["--set", "seed=99999999999999999999"],
            &["`seed` = 99999999999999999999, expected a whole number from 0 to 9223372036854775807"],
        ),
        (&["--set", "optim.adam.beta1=0.9"], &["set `optim.rule` = \"adam\" to use it"]),
        (&["--set", "probe.interpolation=true"], &["`probe.interpolation` = true, expected a table"]),
        (&["--set", "data.augment.flip=yes"], &["`data.augment.flip` = \"yes\", expected true or false"]),
        (&["--set", "optim={}"], &["--set optim={}: `optim.lr` is missing and has no default"]),
        (&["--sweep", "optim.lr=0.1,bad"], &["--sweep optim.lr=bad: `optim.lr` = \"bad\""]),
        (&["--set", "data.dir=/nowhere", "--set", "data.set=mnist"], &["/nowhere", "with --set data."]),
        (&["--set", "optim.lr=1e39"], &["`optim.lr` = 1e39", "f32", "it would become inf"]),
        (
            &["--set", "probe.interpolation.when={ every = 100 }"],
            &["`probe.interpolation.when` = { every = 100 }, expected conditions that are met by"],
        ),
        (&["--set", "checkpoint.epochs=[9]"], &["`checkpoint.epochs` = [9], expected epochs from 1 to 2"]),
        (&["--scale", "quick"], &["no scale `quick`: it has no [scale.NAME] section"]),
        (&["--sweep", "seed=1,2", "--seeds", "2"], &["both --sweep and --seeds set `seed`; leave one of"]),
        (&["--sweep", "optim.lr=0.1:0.5:0"], &["a step of 0 does not lead from 0.1 to 0.5"]),
        (&["--sweep", "optim.batch_size=20,999"], &["--sweep optim.batch_size=999: ", "expected 1 to 300"]),
        (&["--sweep", "data.train=300,99999"], &["--sweep data.train=99999: ", "expected 1 to 1796"]),
        (&["--sweep", "model.options.widths=[8],[0]"], &["--sweep model.options.widths=[0]: plugin mlp: "]),
        (
            &["--sweep", "init.from=\"a\",\"b\""],
            &["--sweep init.from=\"a\": ", "a readable safetensors file"],
        ),
        (&["--sweep", "optim.lr=0.1,1e-1"], &["one value twice, as optim.lr=0.1 and as optim.lr=1e-1"]),
    ];
    for (arguments, parts) in cases {
        // `check` refuses what a run refuses
        for verb in [&["check", "exp.toml"][..], &["exp.toml", "--out", "run"]] {
            let ran = bench.run(&[verb, arguments].concat());
            assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stdout);
            for part in *parts {
                assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
            }
            assert!(!bench.path("run").exists());
        }
    }
}

#[test]
fn what_lies_next_to_an_experiment_is_known() {
    let bench = Bench::new(&GOOD.replace("\"mlp\"", "\"foo\""));
    bench.write("foo/Cargo.toml", b"");
    let ran = bench.run(&["exp.toml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("for the crate in the folder foo, write \"./foo\""), "{}", ran.stderr);
    let ran = bench.run(&[
        "reproduce",
        "--dir",
        crate::support::root().join("experiments").to_str().unwrap(),
        "--only",
        "fig5",
    ]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean `fig05`?"), "{}", ran.stderr);
}

#[test]
fn billions_of_epochs_are_estimated_at_once() {
    let bench = Bench::new(GOOD);
    let more = ["--set", "epochs=4294967295", "--set", "probe.interpolation.when={ every = 7 }"];
    let ran = bench.run(&[&["check", "exp.toml"][..], &more].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // 6 updates an epoch, every seventh of all
    assert!(ran.stdout.contains("interpolation: 3681400538 measurements"), "{}", ran.stdout);
}

#[test]
fn manual_pages_name_the_version() {
    let bench = Bench::new("");
    let page = bench.run(&["man", "fork"]).stdout;
    let title = page.lines().find(|line| line.starts_with(".TH")).unwrap();
    assert!(title.contains(concat!("sgdwalk ", env!("CARGO_PKG_VERSION"))), "{title}");
}
