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
    assert!(ran.stderr.contains("its MD5 is ") && ran.stderr.contains("nothing was kept"), "{}", ran.stderr);
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
