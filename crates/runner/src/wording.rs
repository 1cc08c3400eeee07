//! Rewords serde's errors about values in the terms of an experiment file.

use walk_arch::{did_you_mean, nearest};

/// Names used by other programs, and the ones used here.
const SYNONYMS: [(&str, &str); 7] = [
    ("gpu", "cuda"),
    ("nvidia", "cuda"),
    ("cuda:0", "cuda"),
    ("l2", "squared_error"),
    ("ce", "cross_entropy"),
    ("nll", "cross_entropy"),
    ("batch_gradient_descent", "gd"),
];
/// Maximum number of keys in other sections that an error suggests.
const LISTED: usize = 3;

/// A reworded deserialization error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wording {
    /// The dotted key that it is about.
    pub(crate) key: String,
    pub(crate) message: String,
}

/// Rewords serde's `message` about the value at the dotted key `path` (empty for the whole file). `keys` are all
/// dotted keys.
pub(crate) fn reword(path: &str, message: &str, keys: &[String]) -> Wording {
    // serde first quotes the value found, then the known ones
    let mut quoted = message.split('`').skip(1).step_by(2);
    let found = quoted.next().unwrap_or_default();
    // the path of an unknown key ends with it
    let path = match path.strip_suffix(found) {
        Some(section) if message.starts_with("unknown field") => section.trim_end_matches('.'),
        _ => path,
    };
    let known: Vec<&str> = quoted.collect();
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let section = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
    let about = |key: String, message: String| Wording { key, message };
    if message.starts_with("= ") {
        // messages of values that check themselves already include the value found
        about(path.into(), format!("`{path}` {message}"))
    } else if message.starts_with("unknown field") {
        let message = format!("{section}no key `{found}`{}", other_key(found, path, &known, keys));
        about(within(found), message)
    } else if message.starts_with("missing field") {
        let key = within(found);
        let message = format!("`{key}` is missing and has no default");
        about(key, message)
    } else if message.starts_with("duplicate field") {
        about(within(found), format!("{section}`{found}` appears twice"))
    } else if message.starts_with("unknown variant") {
        let meant = SYNONYMS.iter().find(|(word, meant)| *word == found && known.contains(meant));
        let meant = meant.map(|(_, meant)| *meant).or_else(|| nearest(found, known.iter().copied()));
        let meant = meant.map(|meant| format!(", did you mean \"{meant}\"?")).unwrap_or_default();
        let known: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
        about(path.into(), format!("`{path}` = \"{found}\", expected {}{meant}", alternatives(&known)))
    } else if let Some((found, expected)) = mismatch(message) {
        let is = if found.starts_with("a ") { "is" } else { "=" };
        about(path.into(), format!("`{path}` {is} {found}, expected {expected}"))
    } else {
        about(path.into(), format!("{section}{message}"))
    }
}

/// A suggestion for an unknown key of the section `path`: a similar key in it, or a key of that name in another section.
fn other_key(found: &str, path: &str, known: &[&str], keys: &[String]) -> String {
    let elsewhere: Vec<String> = keys
        .iter()
        .filter(|key| key.rsplit_once('.').is_some_and(|(section, last)| last == found && section != path))
        .map(|key| format!("`{key}`"))
        .collect();
    let is_similar = nearest(found, known.iter().copied()).is_some();
    let meant = match elsewhere.len() {
        0 => did_you_mean(found, known.iter().copied()),
        _ if is_similar && elsewhere.len() > 1 => did_you_mean(found, known.iter().copied()),
        1..=LISTED => format!(", did you mean {}?", elsewhere.join(" or ")),
        _ => String::new(),
    };
    let listed = known.join(", ");
    match (known.is_empty(), meant.is_empty()) {
        (true, _) => meant,
        (false, true) => format!("; its keys are {listed}"),
        (false, false) => format!("{meant} Its keys are {listed}"),
    }
}

/// The parts of "invalid type: FOUND, expected EXPECTED" and similar messages, in plain words.
fn mismatch(message: &str) -> Option<(String, String)> {
    let (_, rest) = message.strip_prefix("invalid ").and_then(|rest| rest.split_once([':', ' ']))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let is_length = message.starts_with("invalid length");
    let found = if is_length { format!("a list of {found} values") } else { value(found.trim()) };
    Some((found, kind(expected.trim())))
}

/// A value as written in TOML.
fn value(found: &str) -> String {
    if let Some(text) = found.strip_prefix("string ") {
        // a number on the command line that is too large for TOML was taken for text
        let number = text.trim_matches('"');
        let digits = number.trim_start_matches('-');
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        return if is_number && number.parse::<i64>().is_err() { number } else { text }.to_owned();
    }
    match found {
        "map" => "a table".into(),
        "sequence" => "a list".into(),
        _ if found.contains('`') => found.split('`').nth(1).unwrap_or(found).to_owned(),
        _ => format!("a value of {found}"),
    }
}

/// What a Rust type is called in an experiment file.
fn kind(expected: &str) -> String {
    let plain = match expected {
        "f32" | "f64" => "a number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "a nonzero u32" => "a whole number from 1 to 4294967295",
        // TOML's integers have 64 bits with a sign
        "u64" => "a whole number from 0 to 9223372036854775807",
        "usize" => "a whole number of at least 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a boolean" | "bool" => "true or false",
        "a string" | "str" | "string" => "text in quotes",
        "path string" => "a path in quotes",
        "a sequence" => "a list",
        "a map" => "a table",
        "string or table" | "string or map" => "a name in quotes",
        other => other,
    };
    if plain.starts_with("struct ") {
        return "a table".into();
    }
    match plain.strip_prefix("an array of length ") {
        Some(length) => format!("a list of {length} values"),
        None => plain.into(),
    }
}

/// `a`, `b` or `c`.
fn alternatives(names: &[String]) -> String {
    match names {
        [] => "nothing".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(path: &str, message: &str) -> String {
        let keys = ["epochs", "optim", "optim.lr", "model.options", "probe.a.chunk", "probe.b.chunk"];
        reword(path, message, &keys.map(str::to_owned)).message
    }

    #[test]
    fn types_are_named_as_a_user_would() {
        let cases = [
            ("invalid type: string \"0.1\", expected f64", "`k` = \"0.1\", expected a number"),
            (
                "invalid type: floating point `1.0`, expected u32",
                "`k` = 1.0, expected a whole number from 0 to 4294967295",
            ),
            (
                "invalid value: integer `-1`, expected a nonzero u32",
                "`k` = -1, expected a whole number from 1 to 4294967295",
            ),
            (
                "invalid type: string \"99999999999999999999\", expected u64",
                "`k` = 99999999999999999999, expected a whole number from 0 to 9223372036854775807",
            ),
            (
                "invalid type: string \"5\", expected u64",
                "`k` = \"5\", expected a whole number from 0 to 9223372036854775807",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "`k` = -1, expected a whole number of at least 0",
            ),
            ("invalid type: string \"yes\", expected a boolean", "`k` = \"yes\", expected true or false"),
            ("invalid type: boolean `true`, expected struct NoiseSection", "`k` = true, expected a table"),
            ("invalid type: sequence, expected a string", "`k` is a list, expected text in quotes"),
            (
                "invalid length 3, expected an array of length 2",
                "`k` is a list of 3 values, expected a list of 2 values",
            ),
            ("= 5, expected at least 7", "`k` = 5, expected at least 7"),
            ("something else", "`k`: something else"),
        ];
        for (message, expected) in cases {
            assert_eq!(says("k", message), expected);
        }
    }

    #[test]
    fn words_of_other_programs_and_keys_of_other_sections_are_known() {
        let variants = "unknown variant `gpu`, expected one of `cpu`, `cpu_composite`, `cuda`";
        assert_eq!(
            says("device", variants),
            "`device` = \"gpu\", expected \"cpu\", \"cpu_composite\" or \"cuda\", did you mean \"cuda\"?"
        );
        let unknown = "unknown field `lr`, expected one of `epochs`, `optim`";
        assert_eq!(says("lr", unknown), "no key `lr`, did you mean `optim.lr`? Its keys are epochs, optim");
        assert_eq!(
            says("optim.lrr", "unknown field `lrr`, expected `lr` or `momentum`"),
            "`optim`: no key `lrr`, did you mean `lr`? Its keys are lr, momentum"
        );
        let many = says("optim", "unknown field `chunk`, expected `lr`");
        assert!(many.contains("did you mean `probe.a.chunk` or `probe.b.chunk`?"), "{many}");
        assert_eq!(says("optim", "missing field `lr`"), "`optim.lr` is missing and has no default");
        assert_eq!(reword("", "missing field `epochs`", &[]).key, "epochs");
    }
}
