//! Property test: any record can be reported. Rows of every kind are generated from their schemas, with missing and extreme
//! numbers and lists of any length. Also, snapshots of every table of one such record at three widths.

use std::fmt::Write;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use walk_record::rows::Kind;
use walk_record::{FORMAT, Run, RunFolder, RunInfo};

use crate::{
    ClaimName, Comparison, Exhibit, Extent, FigureWidth, ReportConfig, Role, Setting, Table, claims,
    claims_table, headline, meaning, summary_json, write_report,
};

/// A generator of numbers (splitmix64, Steele et al., 2014).
struct Numbers {
    state: u64,
    /// Whether some are as large or as small as numbers can be.
    extreme: bool,
}

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// A value that the schema allows.
fn drawn(schema: &Value, root: &Value, numbers: &mut Numbers) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        return drawn(root.pointer(&path[1..]).expect("a reference leads somewhere"), root, numbers);
    }
    for choice in ["anyOf", "oneOf", "enum"] {
        if let Some(choices) = schema[choice].as_array() {
            let chosen = &choices[numbers.below(choices.len())];
            return if choice == "enum" { chosen.clone() } else { drawn(chosen, root, numbers) };
        }
    }
    if !schema["const"].is_null() {
        return schema["const"].clone();
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    match types[numbers.below(types.len())] {
        "null" => Value::Null,
        "boolean" => json!(numbers.below(2) == 1),
        "integer" => json!(numbers.below(5)),
        "number" => {
            let extremes =
                [0.0, -0.0, 1.0, -1.0, 1e-300, -1e-300, 1e308, -1e308, f64::MAX, f64::MIN_POSITIVE];
            let any = numbers.below(6000) as f64 / 1000.0 - 3.0;
            let extreme = extremes.get(numbers.below(2 * extremes.len())).filter(|_| numbers.extreme);
            json!(*extreme.unwrap_or(&any))
        }
        "string" => json!("start"),
        "array" => {
            let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
            let most = schema["maxItems"].as_u64().unwrap_or(4) as usize;
            let len = least + numbers.below(most - least + 1);
            (0..len).map(|_| drawn(&schema["items"], root, numbers)).collect()
        }
        _ => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            Value::Object(
                fields
                    .map(|(name, schema)| (name.clone(), drawn(schema, root, numbers)))
                    .collect::<Map<_, _>>(),
            )
        }
    }
}

/// A run with some rows of every kind.
fn any_run(path: &Path, batch_size: usize, numbers: &mut Numbers) -> Run {
    let info = RunInfo { format: FORMAT, ..RunInfo::default() };
    let (folder, _lock) =
        RunFolder::create(path, &format!("optim = {{ batch_size = {batch_size} }}"), &info).unwrap();
    let mut text = String::new();
    for step in 1..=1 + numbers.below(5) {
        for kind in Kind::schemas() {
            let mut fields = drawn(kind.schema.as_value(), kind.schema.as_value(), numbers);
            fields["kind"] = json!(kind.name);
            for (stamp, value) in [("epoch", 1 + step / 3), ("iteration", step), ("step", step)] {
                fields[stamp] = json!(value);
            }
            writeln!(text, "{fields}").unwrap();
        }
    }
    std::fs::write(folder.path().join("metrics.jsonl"), text).unwrap();
    Run::read(path).unwrap()
}

/// All tables of two runs and of both joined.
fn all_tables(dir: &Path, numbers: &mut Numbers) -> Vec<Table> {
    let mut runs = [any_run(&dir.join("a"), 10, numbers), any_run(&dir.join("b"), 100, numbers)];
    Run::tell_apart(&mut runs);
    let exhibit = |settings| Exhibit { name: "any", claims: ClaimName::ALL, settings };
    let [a, b, both] = [&runs[..1], &runs[1..], &runs[..]].map(|runs| Setting::new("any", runs));
    let claims =
        claims(&[exhibit(vec![a, b]), exhibit(vec![both.clone(), both.clone()]), exhibit(vec![both])]);
    let claims = claims_table(&claims);
    let config = ReportConfig { title: "any", extra_tables: claims.as_slice(), ..ReportConfig::default() };
    let wide = ReportConfig { width: FigureWidth::Page, written_unix_s: Some(1), ..config };
    let mut tables = write_report(&dir.join("report"), &Comparison::new(&runs), &config).unwrap();
    let joined = Comparison::of(vec![Setting::new("both", &runs)]);
    tables.extend(write_report(&dir.join("joined"), &joined, &wide).unwrap());
    for run in &runs {
        assert!(!headline(run).contains("NaN"));
        summary_json(run).unwrap();
    }
    tables
}

/// `SNAPSHOTS=overwrite cargo test -p walk-report` accepts new tables; review the diff like code.
#[test]
fn every_table_is_laid_out_as_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let tables = all_tables(dir.path(), &mut Numbers { state: 1, extreme: false });
    for width in [80, 100, 120] {
        let texts = tables.iter().map(|table| table.boxed(Some(width), Extent::All));
        let text = texts.collect::<Vec<String>>().join("\n\n") + "\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("snapshots/tables-{width}.txt"));
        if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap();
        let differs = text.lines().zip(expected.lines()).position(|(line, expected)| line != expected);
        assert!(text == expected, "{}: differs from line {differs:?} on", path.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn every_record_can_be_reported(seed in any::<u64>()) {
        let dir = tempfile::tempdir().unwrap();
        let tables = all_tables(dir.path(), &mut Numbers { state: seed, extreme: true });
        // every term is in the glossary
        for table in &tables {
            for column in table.columns.iter().filter(|column| column.role != Role::Name) {
                let title = &*column.title;
                prop_assert!(meaning(title).is_some() || title.starts_with("mean "), "{}: {title}", table.name);
            }
        }
        // nothing is wider than the terminal
        for (table, width) in tables.iter().flat_map(|table| [80, 100, 120].map(|width| (table, width))) {
            for extent in [Extent::Main, Extent::All] {
                let text = table.boxed(Some(width), extent);
                let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
                prop_assert!(widest <= width, "{widest} of {width}:\n{text}");
                // and no column is lost
                for word in table.shown().titles().iter().flat_map(|title| title.split([' ', '\u{a0}'])) {
                    prop_assert!(text.contains(word), "{word} is not in:\n{text}");
                }
            }
        }
        // a missing number is shown as a dash
        for table in &tables {
            for cell in table.texts().iter().flatten() {
                prop_assert!(!cell.contains("NaN") && !cell.contains("inf"), "{}: {}", table.name, cell);
            }
        }
    }
}
