//! `sgdwalk reproduce` on a small set of experiments of its own.

use serde_json::Value;

use crate::support::{Bench, GOOD};

/// Three experiments that train alike, and a walk of two members.
fn bench() -> Bench {
    let bench = Bench::new("");
    let base = GOOD.split("[probe").next().unwrap().replace("epochs = 2", "epochs = 3");
    bench.write("paper/base.toml", (base + "[scale.quick.data]\ntrain = 200\n").as_bytes());
    let probes = "[probe.interpolation]\nwhen = { epochs = [EPOCH], iterations = [1, 2] }\n";
    let figure = |epoch: &str| {
        let claims = "claims = [\"rare_barriers\", \"floor_moves\"]";
        format!("extends = \"base.toml\"\n{claims}\nepochs = {epoch}\n{}", probes.replace("EPOCH", epoch))
    };
    bench.write("paper/fig01.toml", figure("1").as_bytes());
    bench.write("paper/fig02.toml", figure("3").as_bytes());
    let alignment = "extends = \"base.toml\"\nclaims = [\"alignment_rises\"]\nepochs = 2\n[probe.alignment]\nwhen = { at_end_of_epochs = true }\n\
                     batch_sizes = [50, 100]\nbatches = 4\nchunk = 50\n";
    bench.write("paper/fig05.toml", alignment.as_bytes());
    let member = |name: &str, batch: u32| {
        format!(
            "[member.{name}]\nextends = \"base.toml\"\noptim.batch_size = {batch}\n\
             probe = {{ cosine = {{}}, distance = {{}} }}\n"
        )
    };
    let claims = "claims = [\"opposing_gradients\", \"slower_growth\"]\n";
    let members = member("large", 100) + &member("small", 25);
    bench.write("paper/fig07a.toml", (claims.to_owned() + &members).as_bytes());
    bench
}

#[test]
fn runs_are_shared_resumed_and_held_against_the_claims() {
    let bench = bench();
    let arguments = ["reproduce", "--dir", "paper", "--out", "out"];
    let ran = bench.run(&arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // the first three figures share a run
    assert!(ran.stdout.contains("4 tables and figures at scale quick from 3 runs"), "{}", ran.stdout);
    let claims = std::fs::read_to_string(bench.path("out/tables/claims.csv")).unwrap();
    let of = |exhibit: &str| claims.lines().filter(|line| line.contains(&format!(",{exhibit},"))).count();
    // of fig05 two epochs of alignment, of fig07a cosine and distance
    assert_eq!((of("fig01"), of("fig02"), of("fig05"), of("fig07a")), (2, 2, 2, 2), "{claims}");
    assert!(bench.path("out/report.html").exists() && bench.path("out/fig05/figures/alignment.png").exists());
    // the page shows the figures of each under its name, with links to its files
    let page = std::fs::read_to_string(bench.path("out/report.html")).unwrap();
    assert!(page.contains("<h3 id=\"fig05\">fig05</h3>") && !bench.path("out/figures").exists());
    for file in ["fig05/report.html", "fig05/figures/alignment.csv", "fig07a/figures/cosine.svg"] {
        assert!(
            page.contains(&format!("href=\"{file}\"")) && bench.path("out").join(file).exists(),
            "{file}"
        );
    }
    // each has its own rows alone
    let barriers = |exhibit: &str| {
        std::fs::read_to_string(bench.path(&format!("out/{exhibit}/tables/barriers.csv"))).unwrap()
    };
    let epochs = |exhibit: &str| {
        let csv = barriers(exhibit);
        csv.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((epochs("fig01"), epochs("fig02")), (vec!["1".to_owned()], vec!["3".to_owned()]));
    assert!(claims.contains("(B = 25)") && claims.contains("(B = 100)"), "{claims}");

    // again: nothing is run, the same bytes come of the records
    let page = std::fs::read(bench.path("out/report.html")).unwrap();
    std::fs::remove_dir_all(bench.path("out/fig05")).unwrap();
    let again = bench.run(&arguments);
    assert_eq!((again.code, again.stderr.matches("already finished").count()), (0, 3), "{}", again.stderr);
    assert_eq!(std::fs::read(bench.path("out/report.html")).unwrap(), page);
    assert!(bench.path("out/fig05/figures/alignment.png").exists());
    // a part of it is in the runs that are there
    let part = bench.run(&[&arguments[..], &["--only", "fig02"]].concat());
    assert_eq!((part.code, part.stderr.matches("already finished").count()), (0, 1), "{}", part.stderr);

    // an exhibit whose run fails is not measured, the others are
    let text = std::fs::read_to_string(bench.path("paper/fig07a.toml")).unwrap();
    bench.write("paper/fig07a.toml", text.replace("= 25", "= 9999").as_bytes());
    let failed = bench.run(&arguments);
    assert_eq!(failed.code, 1);
    assert!(
        failed.stderr.contains("1 of 3 runs failed") && failed.stderr.contains("batch_size"),
        "{}",
        failed.stderr
    );
    assert!(failed.stdout.contains("not measured") && failed.stdout.contains("fig05"), "{}", failed.stdout);
}

#[test]
fn more_seeds_use_the_runs_of_fewer_and_are_the_units_of_claims() {
    let bench = bench();
    let reproduce = |more: &[&str]| {
        let common = ["reproduce", "--dir", "paper", "--out", "out", "--only", "fig05,fig07a"];
        let ran = bench.run(&[&common, more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let read = |file: &str| std::fs::read_to_string(bench.path(&format!("out/{file}"))).unwrap();
        (ran, read("tables/claims.csv"), read("fig07a/tables/cosine.csv"))
    };
    let (ran, claims_of_one, cosines) = reproduce(&[]);
    assert!(ran.stdout.contains("2 tables and figures at scale quick from 3 runs"), "{}", ran.stdout);
    assert_eq!(claims_of_one.matches("in this run").count(), 4, "{claims_of_one}");
    assert!(cosines.contains("B = 25,1,") && !cosines.contains("seeds"), "{cosines}");

    let (ran, claims, cosines) = reproduce(&["--seeds", "3"]);
    assert!(ran.stdout.contains("2 tables and figures at scale quick from 9 runs"), "{}", ran.stdout);
    assert_eq!(ran.stderr.matches("already finished").count(), 3, "{}", ran.stderr);
    // a claim is one row, whatever the seeds
    assert_eq!(claims.lines().count(), claims_of_one.lines().count(), "{claims}");
    assert_eq!(claims.matches("3 seeds: t-test paired by seed").count(), 4, "{claims}");
    assert!(!claims.contains("in this run"), "{claims}");
    // the seeds of a setting are joined
    assert!(cosines.starts_with("setting,seeds,epoch,cosine,cosine_std,"), "{cosines}");
    assert!(cosines.contains("\nB = 25,3,1,"), "{cosines}");

    // one seed again gives what there was
    let (ran, claims, _) = reproduce(&["--seeds", "1"]);
    assert_eq!(ran.stderr.matches("already finished").count(), 3, "{}", ran.stderr);
    assert_eq!(claims, claims_of_one);
    // an experiment can say how many it takes; the first starts at the experiment's own
    let text = std::fs::read_to_string(bench.path("paper/fig05.toml")).unwrap();
    bench.write("paper/fig05.toml", format!("reproduce_seeds = 2\n{text}").as_bytes());
    let (ran, _, _) = reproduce(&["--set", "seed=1112"]);
    assert!(ran.stdout.contains("from 4 runs"), "{}", ran.stdout);
    assert_eq!(ran.stderr.matches("already finished").count(), 4, "{}", ran.stderr);
}

#[test]
fn what_cannot_be_reproduced_is_named() {
    let bench = bench();
    let wrong = |more: &[&str]| {
        let ran = bench.run(&[&["reproduce", "--dir", "paper", "--out", "out"], more].concat());
        assert_eq!(ran.code, 2, "{}", ran.stdout);
        ran.stderr
    };
    assert!(wrong(&["--only", "fig99"]).contains("--only fig99: paper has no fig99.toml"));
    assert!(wrong(&["--scale", "quikc"]).contains("no scale `quikc`, did you mean `quick`?"));
    assert!(wrong(&["--seeds", "0"]).contains("0 is not in 1..=10000"));
    let message = wrong(&["--set", "reproduce_seeds=0"]);
    let expected = "--set reproduce_seeds=0: `reproduce_seeds` = 0, expected 1 to 10000";
    assert!(message.contains(expected), "{message}");
    // once, although several runs need it
    let message = wrong(&["--set", "data.set=cifar10", "--set", "data.dir=lost"]);
    assert!(message.contains("1 data set cannot be read:\n  lost: not found (looked for"), "{message}");
    let nowhere = bench.run(&["reproduce", "--dir", "nowhere", "--out", "out"]);
    assert!(
        nowhere.code == 2 && nowhere.stderr.contains("nowhere: cannot read the folder"),
        "{}",
        nowhere.stderr
    );
}

#[test]
fn every_later_result_reads_at_both_scales_with_claims_and_three_seeds() {
    let bench = Bench::new("");
    let mut results = 0;
    for entry in std::fs::read_dir(crate::support::root().join("experiments/later")).unwrap() {
        let path = entry.unwrap().path();
        for scale in ["full", "quick"] {
            let ran = bench.run(&[path.to_str().unwrap(), "--scale", scale, "--print-config"]);
            assert_eq!(ran.code, 0, "{} {scale}: {}", path.display(), ran.stderr);
            let seeds = ran.stdout.matches("reproduce_seeds = ").count();
            assert!(seeds > 0 && ran.stdout.matches("\nclaims = [").count() == seeds, "{}", ran.stdout);
            assert!(!["1", "2"].iter().any(|few| ran.stdout.contains(&format!("reproduce_seeds = {few}\n"))));
        }
        results += 1;
    }
    assert_eq!(results, 10);
}

#[test]
fn every_experiment_of_the_paper_reads_at_every_scale() {
    let bench = Bench::new("");
    let folder = crate::support::root().join("experiments");
    let (mut exhibits, mut runs) = (0, vec![]);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let is_exhibit = path.is_file() && path.file_name().is_some_and(|name| name != "quick.toml");
        for scale in ["full", "cpu", "quick"].iter().filter(|_| is_exhibit) {
            let ran = bench.run(&[path.to_str().unwrap(), "--scale", scale, "--print-config"]);
            assert_eq!(ran.code, 0, "{} {scale}: {}", path.display(), ran.stderr);
            runs.push((scale, ran.stdout));
        }
        exhibits += usize::from(is_exhibit);
    }
    // the table, 28 figures, of which the seventh has two parts
    assert_eq!(exhibits, 30);
    // at full scale nothing is smaller than the paper's
    for (_, config) in runs.iter().filter(|(scale, _)| **scale == "full") {
        assert!(
            !config.contains("subset = ") && !config.contains("width = ") && !config.contains("adaptive"),
            "{config}"
        );
    }
}

#[test]
fn a_file_of_several_experiments_is_run_as_a_sweep() {
    let bench = bench();
    let ran = bench.run(&["paper/fig07a.toml", "--scale", "quick", "--out", "both"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let batch = |member: &str| {
        let info: Value = bench.info(&format!("both/{member}"));
        (info["status"].clone(), info["data"]["train"].clone())
    };
    assert_eq!(batch("large"), ("finished".into(), 200.into()));
    assert_eq!(batch("small"), ("finished".into(), 200.into()));
    let one = bench.run(&["paper/fig07a.toml", "--member", "small", "--out", "one"]);
    assert_eq!((one.code, bench.info("one")["data"]["train"].clone()), (0, 300.into()));
}

#[test]
fn later_results_are_a_suite_of_their_own() {
    let bench = Bench::new("");
    let base = GOOD.split("[probe").next().unwrap().to_owned() + "[scale.quick.data]\ntrain = 200\n";
    bench.write("base.toml", base.as_bytes());
    let result = |claims: &str, probe: &str| {
        format!(
            "extends = \"../base.toml\"\nclaims = [{claims}]\nreproduce_seeds = 2\n[probe.{probe}]\nwhen = {{}}\n"
        )
    };
    let twins = result("\"late_twins_connect\"", "connectivity") + "split_after = [0, 1]\npoints = 3\n";
    bench.write("later/mode-connectivity.toml", twins.as_bytes());
    let noise = result("\"noise_scale_rises\"", "covariance") + "chunk = 25\n";
    bench.write("later/noise-scale.toml", noise.as_bytes());
    let arguments = ["reproduce", "--suite", "later", "--dir", "later"];
    let ran = bench.run(&arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // the two share their runs
    assert!(ran.stdout.contains("2 results at scale quick from 2 runs"), "{}", ran.stdout);
    let claims = std::fs::read_to_string(bench.path("runs/reproduce-later-quick/tables/claims.csv")).unwrap();
    assert_eq!(claims.matches("2 seeds: 95% bounds").count(), 2, "{claims}");
    let page = std::fs::read_to_string(bench.path("runs/reproduce-later-quick/report.html")).unwrap();
    assert!(page.contains("Results from other publications at scale quick"), "no title");
    let figure = "runs/reproduce-later-quick/mode-connectivity/figures/connectivity.png";
    assert!(bench.path(figure).exists());
    let wrong = bench.run(&[&arguments[..], &["--only", "noise-scales"]].concat());
    assert!(
        wrong.stderr.contains("later has no noise-scales.toml, did you mean `noise-scale`?"),
        "{}",
        wrong.stderr
    );
    // the paper's folder has tables and figures
    let none = bench.run(&["reproduce", "--dir", "later"]);
    assert!(none.stderr.contains("later: contains no table*.toml or fig*.toml"), "{}", none.stderr);
}
