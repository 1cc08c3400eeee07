//! `sgdwalk data`, and what experiments make of the `[data]` section.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::support::{Bench, GOOD};

#[test]
fn a_set_is_fetched_from_a_mirror_and_checked() {
    let bench = Bench::new("");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}/mirror/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = BufReader::new(stream.try_clone().unwrap()).lines().next().unwrap().unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong").unwrap();
        request
    });
    let ran = bench.run(&["data", "fetch", "mnist", "--from", &mirror]);
    assert_eq!(server.join().unwrap(), "GET /mirror/train-images-idx3-ubyte.gz HTTP/1.1");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("its MD5 is ") && ran.stderr.contains("was not kept"), "{}", ran.stderr);
    assert_eq!(std::fs::read_dir(bench.path("data/mnist")).unwrap().count(), 0);
    let ran = bench.run(&["data", "fetch", "cifar1"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean `cifar10`?"), "{}", ran.stderr);
}

#[test]
fn sets_are_listed_with_what_is_there() {
    let bench = Bench::new("");
    bench.write("data/cifar100/train.bin", &[0; 10]);
    let ran = bench.run(&["data", "list"]);
    assert_eq!(ran.code, 0);
    let line = |set: &str| ran.stdout.lines().find(|line| line.contains(set)).unwrap().to_owned();
    assert!(line("digits").contains("built in"), "{}", ran.stdout);
    assert!(line("mnist ").contains("12 MB") && line("mnist ").contains("data/mnist"), "{}", ran.stdout);
    assert!(line("cifar100").contains("ends after 10 of 3074 bytes"), "{}", ran.stdout);
}

#[test]
fn augmented_subsets_and_drawn_batches_repeat_with_the_seed() {
    let text = GOOD.replace(
        "valid = 100",
        "valid = 100\nsubset = 120\naugment = { crop_padding = 1, flip = true }\nnormalize = \"computed\"",
    );
    let text = text.replace("batch_size = 50", "batch_size = 50\nreplacement = true");
    let text = text.replace(
        "[probe.interpolation]",
        "[record]\norder = true\n[probe.interpolation]\nevaluation = \"paper\"",
    );
    let bench = Bench::new(&text);
    bench.run_into("one", &[]);
    bench.run_into("two", &["--threads", "1"]);
    assert_eq!(bench.metrics("one"), bench.metrics("two"));
    let rows = bench.rows("one");
    let order = rows.iter().find(|row| row["kind"] == "order").unwrap();
    assert_eq!(order["samples"].as_array().unwrap().len(), 150);
    assert!(rows.iter().any(|row| row["evaluation"] == "paper" && row["samples"] == 120));
    bench.write("exp.toml", text.replace("epochs = 2", "epochs = 2\nseed = 5").as_bytes());
    bench.run_into("three", &[]);
    assert_ne!(bench.metrics("one"), bench.metrics("three"));
}

/// A BMP of one pixel with 24 bits.
fn bmp(blue: u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for value in [58u32, 0, 54, 40, 1, 1] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    bytes.extend([blue, 0, 0, 0]);
    bytes
}

#[test]
fn a_folders_classes_are_recorded_and_what_is_left_out_is_said_once() {
    let head = "epochs = 1\n[model]\nplugin = \"mlp\"\noptions = { widths = [], batch_norm = false }\n";
    let bench = Bench::new(&format!(
        "{head}[data]\nset = \"folder\"\ndir = \"pets\"\n[optim]\nlr = 0.1\nbatch_size = 2\n"
    ));
    for n in 0..4 {
        bench.write(&format!("pets/train/10/{n}.bmp"), &bmp(n));
        bench.write(&format!("pets/train/2/{n}.BMP"), &bmp(200 + n));
    }
    bench.write("pets/train/10/.DS_Store", b"");
    bench.write("pets/train/10/notes.txt", b"");
    bench.write("pets/val/2/0.bmp", &bmp(9));
    let ran = bench.run(&["exp.toml", "--out", "run", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    let expected = [
        "warning: pets: left out 1 file that is not PNG, JPEG or BMP: 1 .txt",
        "warning: pets/val: has no images for 1 class of the training part: 10",
    ];
    assert_eq!(warnings, expected);
    let data = bench.info("run")["data"].clone();
    let class =
        |name: &str, train, valid| serde_json::json!({ "name": name, "train": train, "valid": valid });
    assert_eq!(data["classes"], serde_json::json!([class("10", 4, 0), class("2", 4, 1)]));
    assert_eq!(data["remarks"].as_array().unwrap().len(), 2);
    let checked = bench.run(&["check", "exp.toml"]);
    assert_eq!(checked.stderr.matches("warning: ").count(), 2, "{}", checked.stderr);
    let seeds = bench.run(&["exp.toml", "--seeds", "2", "--out", "seeds", "--quiet"]);
    assert_eq!((seeds.code, seeds.stderr.matches("warning: ").count()), (0, 2), "{}", seeds.stderr);
    bench.write("pets/val/3/0.bmp", &bmp(9));
    let ran = bench.run(&["exp.toml", "--out", "other"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("pets/val/3: is a class that pets/train does not have"), "{}", ran.stderr);
}
