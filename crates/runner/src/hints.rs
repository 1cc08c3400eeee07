//! Suggestions for command lines that cannot be parsed.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use walk_arch::nearest;
use walk_record::RunFolder;

use crate::cli;

/// A hint for the words after the program's name, which clap rejected.
pub(crate) fn for_arguments(words: &[OsString], error: &clap::Error) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::ArgumentConflict) {
        return None;
    }
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (first, second) = (words.first()?.as_str(), words.get(1).map(String::as_str));
    if let Some(hint) = for_word(first, second) {
        return Some(hint);
    }
    let command = cli::command();
    let verb = words[1..].iter().find(|word| command.find_subcommand(word).is_some());
    if let (None, Some(verb)) = (command.find_subcommand(first), verb) {
        return Some(format!("{verb}: the verb must come first: `sgdwalk {verb} ...`"));
    }
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return None };
    // its value, if it has one
    let at = words.iter().position(|word| word.starts_with(option))?;
    let next = words.get(at + 1).filter(|next| !next.starts_with('-')).map(String::as_str);
    let value = words[at].split_once('=').map(|(_, value)| value).or(next);
    let hint = match (first, option.as_str()) {
        ("resume", "--set" | "--sweep" | "--seeds" | "--jobs" | "--scale" | "--member" | "--out") => {
            "a resumed run keeps its folder and its experiment; only --epochs can change; `sgdwalk fork RUN@STEP` starts a new \
             run from a checkpoint and accepts --set"
                .into()
        }
        ("fork", "--scale" | "--member") => {
            "a fork keeps the scale and the member of its run; change values with --set".into()
        }
        (_, "--resume") => format!("use `sgdwalk resume {}`", value.unwrap_or("RUN")),
        (_, "--fork") => format!("use `sgdwalk fork {}`", value.unwrap_or("RUN@STEP")),
        (_, "--dry-run") if first.starts_with('-') => "use `sgdwalk check EXPERIMENT`".into(),
        (_, "--dry-run") => format!("use `sgdwalk check {first}`"),
        _ => return None,
    };
    Some(format!("{option}: {hint}"))
}

/// A hint for a path that is not an experiment file.
pub(crate) fn for_path(path: &Path) -> Option<String> {
    let word = path.to_str()?;
    if RunFolder::is_at(path) {
        return Some(format!("{word}: this is a run folder, not an experiment; use `sgdwalk resume {word}`"));
    }
    for_word(word, None)
}

/// A hint for a word in the place of a verb or an experiment that is neither; `next` is the word after it.
fn for_word(word: &str, next: Option<&str>) -> Option<String> {
    let exists = Path::new(word).exists();
    if word == "run" && (next.is_some() || !exists) {
        let path = next.unwrap_or("EXPERIMENT");
        return Some(format!("run: not a verb; to run an experiment, give its path: `sgdwalk {path}`"));
    }
    let command = cli::command();
    let is_other = word.starts_with('-') || word.contains(['.', '/', '\\']);
    if exists || is_other || command.find_subcommand(word).is_some() {
        return None;
    }
    let verb = nearest(word, command.get_subcommands().map(clap::Command::get_name))?;
    Some(format!("{word}: neither an experiment file nor a verb; did you mean `sgdwalk {verb}`?"))
}
