//! The keys of a type read from TOML, taken from its JSON schema.

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// All dotted keys of a type, including those of its sections.
pub(crate) fn dotted_keys<T: JsonSchema>() -> Vec<String> {
    let schema = serde_json::to_value(schemars::schema_for!(T)).unwrap_or_default();
    let mut keys = vec![];
    add_keys(&mut keys, &schema, "", &schema);
    keys
}

fn add_keys(keys: &mut Vec<String>, schema: &Value, prefix: &str, object: &Value) {
    for (name, value) in properties(object).into_iter().flatten() {
        let key = format!("{prefix}{name}");
        add_keys(keys, schema, &format!("{key}."), resolved(schema, value));
        keys.push(key);
    }
}

/// The keys of a section.
pub(crate) fn properties(object: &Value) -> Option<&Map<String, Value>> {
    object["properties"].as_object()
}

/// Resolves references, optional values and values with their own descriptions.
pub(crate) fn resolved<'a>(schema: &'a Value, mut value: &'a Value) -> &'a Value {
    loop {
        if let Some(name) = value["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            value = &schema["$defs"][name];
        } else if let Some(first) = value["anyOf"].as_array().and_then(|any| any.first()) {
            value = first;
        } else {
            return value;
        }
    }
}
