//! The noise of the authors' evaluation, estimated by sample, against the spread of many evaluations.

use crate::support::Bench;

/// SLOW_TESTS=1 evaluates each loss 2,000 times, otherwise 100 times.
#[test]
fn the_noise_by_sample_is_that_of_repeated_evaluations() {
    let evaluations = if std::env::var_os("SLOW_TESTS").is_some() { 2000 } else { 100 };
    println!("| network | chunk | σ, {evaluations} evaluations | σ by sample | degrees of freedom |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (plugin, options, chunk) in [
        ("mlp", "widths = [24], batch_norm = false", 40),
        ("mlp", "widths = [24], batch_norm = true", 40),
        ("mlp", "widths = [24], batch_norm = true", 10),
        ("resnet56", "depth = 8, width = 4", 40),
    ] {
        let bench = Bench::new(&format!(
            "epochs = 3\nseed = 3\n[model]\nplugin = \"{plugin}\"\noptions = {{ {options} }}\n\
             [data]\nset = \"digits\"\ntrain = 400\nvalid = 50\naugment = {{ crop_padding = 1, flip = true }}\n\
             [optim]\nlr = 0.1\nbatch_size = 20\n\
             [probe.noise]\nwhen = {{ epochs = [3], at_end_of_epochs = true }}\nevaluation = \"paper\"\n\
             evaluations = {evaluations}\nchunk = {chunk}\n"
        ));
        let ran = bench.run_into("run", &["--quiet"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let row = bench.rows("run").into_iter().find(|row| row["kind"] == "noise").unwrap();
        let [repeated, sigma, freedom] =
            [&row["sigma"], &row["by_sample"]["sigma"], &row["by_sample"]["degrees_of_freedom"]]
                .map(|number| number.as_f64().unwrap());
        println!("| {plugin}, {options} | {chunk} | {repeated:.3e} | {sigma:.3e} | {freedom:.0} |");
        // four standard errors; the partition into chunks adds to the estimate what cancels in the sum of all chunks
        let error = 4.0 / f64::from(2 * (evaluations - 1)).sqrt();
        let excess = if options.contains("batch_norm = false") { 0.0 } else { 0.05 };
        assert!((1.0 - error..1.0 + error + excess).contains(&(sigma / repeated)), "{plugin}: {row}");
        assert!(freedom > 5.0 * f64::from(evaluations), "{plugin}: {row}");
    }
}
