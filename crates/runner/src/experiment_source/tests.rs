//! What takes precedence, where errors are located, and what is refused.

use super::*;
use crate::schema_keys::{properties, resolved};

fn source(files: &[(&str, &str)], sets: &[&str]) -> Result<(tempfile::TempDir, ExperimentSource)> {
    select(files, Selection::default(), sets)
}

fn select(
    files: &[(&str, &str)],
    selection: Selection<'_>,
    sets: &[&str],
) -> Result<(tempfile::TempDir, ExperimentSource)> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let sets: Vec<Setting> = sets.iter().map(|set| set.parse().unwrap()).collect();
    let source = ExperimentSource::read(&dir.path().join(files[0].0), selection, &sets)?;
    Ok((dir, source))
}

#[test]
fn a_file_is_put_on_what_it_extends_and_settings_on_both() {
    let base = "seed = 1\n[optim]\nlr = 0.1\nmomentum = 0.5\n[probe.x]\nwhen = { epochs = [1] }\n";
    let top = "extends = \"base.toml\"\n[optim]\nlr = 0.2\n[probe.x]\nwhen = { every = 2 }\n";
    let (_dir, source) =
        source(&[("top.toml", top), ("base.toml", base)], &["optim.momentum=0.9", "name=a b"]).unwrap();
    let expected =
        "seed = 1\nname = \"a b\"\n[optim]\nlr = 0.2\nmomentum = 0.9\n[probe.x]\nwhen = { every = 2 }\n";
    assert_eq!(source.merged().unwrap(), toml::from_str::<Table>(expected).unwrap());
    let name = |key: &str| {
        let place = source.place(key);
        place.rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(name("optim.lr"), "top.toml:3");
    assert_eq!(name("seed"), "base.toml:1");
    assert_eq!(name("optim.momentum"), "--set optim.momentum=0.9");
}

#[test]
fn a_part_for_a_scale_or_a_member_counts_before_the_file_it_stands_in() {
    let base = "seed = 1\nepochs = 100\n[data]\ntrain = 9\n[scale.quick]\nepochs = 2\n[scale.quick.data]\ntrain = 3\n";
    let top = "epochs = 50\n[member.a]\nextends = \"base.toml\"\n[member.a.scale.quick]\nseed = 7\n[member.b]\nextends = \"base.toml\"\nepochs = 5\n";
    let files = [("top.toml", top), ("base.toml", base)];
    let merged = |scale, member| {
        let (_dir, source) = select(&files, Selection { scale, member }, &[]).unwrap();
        source.merged().unwrap()
    };
    let table = |text: &str| toml::from_str::<Table>(text).unwrap();
    assert_eq!(merged(None, Some("a")), table("seed = 1\nepochs = 50\n[data]\ntrain = 9\n"));
    assert_eq!(merged(Some("full"), Some("b")), table("seed = 1\nepochs = 5\n[data]\ntrain = 9\n"));
    // the file's own value stands before the base file's for the scale
    assert_eq!(merged(Some("quick"), Some("a")), table("seed = 7\nepochs = 50\n[data]\ntrain = 3\n"));

    let (dir, source) = select(&files, Selection { scale: Some("quick"), member: Some("a") }, &[]).unwrap();
    let place = |key: &str| source.place(key).rsplit('/').next().unwrap().to_owned();
    assert_eq!(place("seed"), "top.toml:5");
    assert_eq!(place("data.train"), "base.toml:8");
    let members = |named| ExperimentSource::members(&dir.path().join("top.toml"), named).unwrap();
    assert_eq!(members(None), [Some("a".to_owned()), Some("b".to_owned())]);
    assert_eq!(members(Some("b")), [Some("b".to_owned())]);
    assert_eq!(ExperimentSource::members(&dir.path().join("base.toml"), None).unwrap(), [None]);
    let wrong = |scale, member| select(&files, Selection { scale, member }, &[]).unwrap_err().to_string();
    let text = wrong(Some("quikc"), Some("a"));
    assert!(text.contains("no scale `quikc`, did you mean `quick`? (its scales are full, quick)"), "{text}");
    assert!(wrong(None, Some("c")).contains("no member `c` (its members are a, b)"));
    assert!(
        wrong(None, None)
            .contains("top.toml:2: the file has several experiments; choose one with --member: a, b")
    );
    let wrong = select(&[("a.toml", "scale = 3\n")], Selection::default(), &[]).unwrap_err().to_string();
    assert!(wrong.contains("a.toml:1: `scale` may only contain tables [scale.NAME]"), "{wrong}");
}

#[test]
fn what_cannot_be_extended_or_set_is_named() {
    let message = |files: &[(&str, &str)], sets: &[&str]| {
        source(files, sets).and_then(|(_dir, source)| source.merged()).unwrap_err().to_string()
    };
    assert!(message(&[("a.toml", "extends = \"a.toml\"\n")], &[]).contains("a.toml:1: more than 8 files"));
    assert!(
        message(&[("a.toml", "\nextends = 3\n")], &[]).contains("a.toml:2: `extends` is of type integer")
    );
    assert!(
        message(&[("a.toml", "extends = [3]\n")], &[]).contains("a.toml:1: `extends` is of type integer")
    );
    let several = [
        ("a.toml", "extends = [\"b.toml\", \"c.toml\"]\n"),
        ("b.toml", "seed = 1\n"),
        ("c.toml", "seed = 2\nepochs = 3\n"),
    ];
    let (_dir, both) = source(&several, &[]).unwrap();
    assert_eq!(both.merged().unwrap(), toml::from_str::<Table>("seed = 1\nepochs = 3\n").unwrap());
    let missing = message(&[("a.toml", "extends = \"b.toml\"\n")], &[]);
    assert!(
        missing.contains("a.toml:1: `extends`: ") && missing.contains("b.toml: cannot read the experiment")
    );
    assert!(
        message(&[("a.toml", "seed = 1\n")], &["seed.x=1"])
            .contains("--set seed.x=1: `seed` is of type integer")
    );
    assert!("seed".parse::<Setting>().unwrap_err().to_string().contains("expected KEY=VALUE"));
    let wrong = "lr=".parse::<Setting>().unwrap_err().to_string();
    assert_eq!(wrong, "the value is missing, expected KEY=VALUE, e.g. optim.lr=0.2");
    assert!(".x=1".parse::<Setting>().is_err() && "x=".parse::<Setting>().is_err());
    assert_eq!("x=[1, 2]".parse::<Setting>().unwrap().value, Value::Array(vec![1.into(), 2.into()]));
}

#[test]
fn a_schedule_replaces_another_whatever_its_key() {
    let schema = serde_json::to_value(schemars::schema_for!(crate::experiment::Experiment)).unwrap();
    let mut keys = BTreeSet::new();
    collect_schedules(&mut keys, &schema, &schema);
    assert_eq!(keys, SCHEDULE_KEYS.map(String::from).into());
}

/// The names of the keys of `object` and its sections whose values are schedules.
fn collect_schedules(keys: &mut BTreeSet<String>, schema: &serde_json::Value, object: &serde_json::Value) {
    for (name, value) in properties(object).into_iter().flatten() {
        let value = resolved(schema, value);
        if value["title"] == "schedule" {
            keys.insert(name.clone());
        }
        collect_schedules(keys, schema, value);
    }
}
