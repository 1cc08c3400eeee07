//! `sgdwalk keys`: the reference of every key of an experiment file and of every row of metrics.jsonl, generated from the
//! types that read them.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;
use walk_record::rows::{Kind, KindSchema};
use walk_train::Conditions;

use crate::experiment::Experiment;
use crate::schema_keys::{properties, resolved};

const HEAD: &str = "# Keys of an experiment file

Generated from the types that read the file by `sgdwalk keys > docs/KEYS.md`. [EXPERIMENTS.md](EXPERIMENTS.md) explains what \
they are for. Every key can be set on the command line, e.g. `--set optim.lr=0.2`.
";

const ROWS_HEAD: &str = "# Rows of metrics.jsonl

Generated from the types that read the file by `sgdwalk keys --rows > docs/ROWS.md`. Each line is a JSON object with \
`kind`, one of the names below; `epoch` (from 1); `iteration` (update within the epoch, from 1); `step` (updates so far, \
including this one); and the fields of its kind. A number that could not be measured or is not finite is `null`; an optional \
field without a value is `null` or absent.
";

/// The reference of rows, in Markdown.
pub(crate) fn rows() -> Result<String> {
    let mut text = ROWS_HEAD.to_owned();
    for KindSchema { name, schema } in Kind::schemas() {
        let schema = serde_json::to_value(schema).context("a schema is JSON")?;
        let meaning = description(&schema, &schema);
        let _ =
            write!(text, "\n## `{name}`\n\n{meaning}\n\n| field | type | meaning |\n| --- | --- | --- |\n");
        fields(&mut text, &schema, "", &schema);
    }
    Ok(text)
}

/// One line per field of `object`, each followed by the fields within it.
fn fields(text: &mut String, schema: &Value, prefix: &str, object: &Value) {
    for (name, value) in properties(object).into_iter().flatten() {
        let (inner, item) = (resolved(schema, value), resolved(schema, &resolved(schema, value)["items"]));
        let (nested, kind, within) = match (properties(inner), properties(item)) {
            (Some(_), _) => (inner, "object".to_owned(), format!("{prefix}{name}.")),
            (None, Some(_)) => (item, "list of objects".to_owned(), format!("{prefix}{name}[].")),
            (None, None) => (inner, type_name(schema, inner), String::new()),
        };
        let _ = writeln!(text, "| `{prefix}{name}` | {kind} | {} |", meaning(schema, value));
        fields(text, schema, &within, nested);
    }
}

/// The reference of keys, in Markdown.
pub(crate) fn keys() -> Result<String> {
    let schema = serde_json::to_value(schemars::schema_for!(Experiment)).context("a schema is JSON")?;
    let conditions = serde_json::to_value(schemars::schema_for!(Conditions)).context("a schema is JSON")?;
    let mut text = HEAD.to_owned();
    section(&mut text, &schema, "", &schema);
    text.push_str(
        "\n## Schedules\n\nA schedule is a table of conditions that must all be met (`{}` means every update), or a \
         list of such tables, at least one of which must be met.\n",
    );
    key_rows(&mut text, &conditions, &conditions);
    text.push_str(
        "\n## `[scale.NAME]`\n\nValues that apply with `--scale NAME`. It accepts all of the keys above.\n\
         \n## `[member.NAME]`\n\nOne of several experiments in the file. It accepts all of the keys above.\n",
    );
    Ok(text)
}

/// A section's heading and rows, then its sections.
fn section(text: &mut String, schema: &Value, path: &str, object: &Value) {
    if path.is_empty() {
        text.push_str("\n## At the top\n\n`extends`: a file, or a list of files, that this one builds on.\n");
    } else {
        let _ = write!(text, "\n## `[{path}]`\n\n{}\n", description(schema, object));
    }
    key_rows(text, schema, object);
    for (key, value) in properties(object).into_iter().flatten() {
        let inner = resolved(schema, value);
        if properties(inner).is_some() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            section(text, schema, &path, inner);
        }
    }
}

/// A table of the keys that are not sections.
fn key_rows(text: &mut String, schema: &Value, object: &Value) {
    let required: Vec<&str> =
        object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut head = "\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
    for (key, value) in properties(object).into_iter().flatten() {
        let inner = resolved(schema, value);
        if properties(inner).is_some() {
            continue;
        }
        text.push_str(std::mem::take(&mut head));
        let default = match &value["default"] {
            Value::Null if required.contains(&key.as_str()) => "required".to_owned(),
            Value::Null => "none".to_owned(),
            default => format!("`{}`", toml_value(default)),
        };
        let (kind, meaning) = (type_name(schema, inner), meaning(schema, value));
        let _ = writeln!(text, "| `{key}` | {kind} | {default} | {meaning} |");
    }
}

/// Its own description, or that of the type it refers to, in one line.
fn description(schema: &Value, value: &Value) -> String {
    let text = value["description"].as_str().or_else(|| resolved(schema, value)["description"].as_str());
    text.unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// Its description, with the possible values of it or its items.
fn meaning(schema: &Value, value: &Value) -> String {
    let inner = resolved(schema, value);
    [description(schema, value), choices(inner), choices(resolved(schema, &inner["items"]))].concat()
}

/// The possible values, each with its meaning.
fn choices(value: &Value) -> String {
    let choice = |choice: &Value| {
        let name = choice["const"].as_str()?;
        let meaning = choice["description"].as_str().unwrap_or_default().replace('\n', " ");
        Some(format!(" `\"{name}\"`: {meaning}"))
    };
    value["oneOf"].as_array().into_iter().flatten().filter_map(choice).collect()
}

fn type_name(schema: &Value, value: &Value) -> String {
    if let Some(title) = value["title"].as_str() {
        return title.to_owned();
    }
    if value["oneOf"].is_array() || value["enum"].is_array() {
        return "name".into();
    }
    // of several types, the first is not null
    let kind = value["type"].as_str().or(value["type"][0].as_str());
    match kind.unwrap_or_default() {
        "array" => match type_name(schema, resolved(schema, &value["items"])) {
            item if item.starts_with("list ") => format!("list of {}", item.replacen("list", "lists", 1)),
            item => format!("list of {item}s"),
        },
        "boolean" => "true or false".into(),
        "string" => "text".into(),
        "object" => "table".into(),
        kind => kind.into(),
    }
}

/// A JSON value in TOML's syntax.
fn toml_value(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            // sections that are off are left out
            let on = table.iter().filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)));
            let pairs = on.map(|(key, value)| format!("{key} = {}", toml_value(value)));
            let pairs: Vec<String> = pairs.collect();
            if pairs.is_empty() { "{}".into() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
        Value::Array(values) => format!("[{}]", values.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_references_in_docs_are_the_types() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let references = [
            ("KEYS.md", "sgdwalk keys", keys().unwrap()),
            ("ROWS.md", "sgdwalk keys --rows", rows().unwrap()),
            ("GLOSSARY.md", "sgdwalk glossary", walk_report::glossary_markdown()),
        ];
        for (file, command, text) in references {
            let found = std::fs::read_to_string(docs.join(file)).unwrap_or_default();
            assert_eq!(found, text, "run `{command} > docs/{file}`");
        }
    }

    #[test]
    fn a_reference_has_types_defaults_choices_and_nested_fields() {
        let keys = super::keys().unwrap();
        for expected in ["| `lr` | number | required |", "## `[probe.interpolation]`", "`\"adaptive\"`: "] {
            assert!(keys.contains(expected), "{expected}");
        }
        let rows = super::rows().unwrap();
        for expected in
            ["## `covariance`", "| `losses` | list of numbers |", "| `checks[].batch_size` | integer |"]
        {
            assert!(rows.contains(expected), "{expected}");
        }
    }
}
