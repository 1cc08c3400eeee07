//! What was probably meant by a command line that cannot be used.

use std::path::Path;

use clap::error::ErrorKind;
use walk_arch::nearest;

use crate::cli;

/// Options about the experiment and the folder of a new run.
const EXPERIMENT_OPTIONS: [&str; 7] =
    ["--set", "--sweep", "--seeds", "--jobs", "--scale", "--member", "--out"];

/// Options that select one of the experiments in a file.
const SELECTIONS: [&str; 2] = ["--scale", "--member"];

/// A hint for arguments that do not parse.
pub(crate) fn for_arguments(words: &[String], error: &clap::Error) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::ArgumentConflict) {
        return None;
    }
    let first = words.first()?.as_str();
    let second = words.get(1).map(String::as_str);
    if let Some(hint) = for_word(first, second) {
        return Some(hint);
    }
    let command = cli::command();
    let verb = words[1..].iter().find(|word| command.find_subcommand(word).is_some());
    if let (None, Some(verb)) = (command.find_subcommand(first), verb) {
        return Some(format!("{verb}: a verb comes first, as in `sgdwalk {verb} ...`"));
    }
    let uses = |options: &[&'static str]| {
        options.iter().copied().find(|name| words.iter().any(|word| option(word).0 == *name))
    };
    if let ("resume", Some(name)) = (first, uses(&EXPERIMENT_OPTIONS)) {
        return Some(format!(
            "{name}: a resumed run keeps its experiment and its folder; `sgdwalk fork RUN@STEP` starts a new run from a \
             checkpoint and accepts --set"
        ));
    }
    if let ("fork", Some(name)) = (first, uses(&SELECTIONS)) {
        return Some(format!(
            "{name}: a fork keeps the scale and the member of its run; change values with --set"
        ));
    }
    words.iter().enumerate().find_map(|(index, word)| {
        let (name, value) = option(word);
        let next = words.get(index + 1).filter(|next| !next.starts_with('-')).map(String::as_str);
        let value = value.or(next);
        let use_instead = match name {
            "--resume" => format!("sgdwalk resume {}", value.unwrap_or("RUN")),
            "--fork" => format!("sgdwalk fork {}", value.unwrap_or("RUN@STEP")),
            "--dry-run" if first.starts_with('-') => "sgdwalk check EXPERIMENT".into(),
            "--dry-run" => format!("sgdwalk check {first}"),
            _ => return None,
        };
        Some(format!("{name}: use `{use_instead}`"))
    })
}

/// A hint for a path that is no experiment file.
pub(crate) fn for_path(path: &Path) -> Option<String> {
    let word = path.to_str()?;
    if path.join("run.json").is_file() {
        return Some(format!("{word}: a run folder, not an experiment; use `sgdwalk resume {word}`"));
    }
    for_word(word, None)
}

/// A hint for a word that stands for a verb or an experiment but is neither; `next` follows it.
fn for_word(word: &str, next: Option<&str>) -> Option<String> {
    let exists = Path::new(word).exists();
    if word == "run" && (next.is_some() || !exists) {
        let path = next.unwrap_or("EXPERIMENT");
        return Some(format!("run: not a verb; a path alone runs it: `sgdwalk {path}`"));
    }
    let command = cli::command();
    let verbs = || command.get_subcommands().map(clap::Command::get_name);
    if exists || word.starts_with('-') || word.contains(['.', '/', '\\']) || verbs().any(|verb| verb == word)
    {
        return None;
    }
    let verb = nearest(word, verbs())?;
    Some(format!("{word}: neither an experiment file nor a verb; did you mean `sgdwalk {verb}`?"))
}

/// The name of an option and the value after its `=`.
fn option(word: &str) -> (&str, Option<&str>) {
    word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)))
}
