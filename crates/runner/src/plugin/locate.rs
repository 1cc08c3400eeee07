//! Where a plugin is.

use std::env::consts::DLL_EXTENSION;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use walk_arch::nearest;

/// What a plugin reference points to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A library, loaded as it is.
    Library(PathBuf),
    /// The folder of a crate, built when needed.
    Crate(PathBuf),
}

/// A path (with a separator or the libraries' extension) or a crate's name in one of the plugin folders.
pub(crate) fn locate(reference: &str) -> Result<Place> {
    let path = Path::new(reference);
    let is_library = path.extension().is_some_and(|extension| extension == DLL_EXTENSION);
    if is_library || reference.contains(std::path::is_separator) {
        return if path.is_file() {
            Ok(Place::Library(path.into()))
        } else if path.join("Cargo.toml").is_file() {
            Ok(Place::Crate(path.into()))
        } else {
            Err(anyhow!(
                "plugin {reference}: there is neither a library nor a crate (a folder with Cargo.toml)"
            ))
        };
    }
    let folders = plugin_folders();
    if let Some(folder) = folders.iter().find(|folder| name(folder) == reference) {
        return Ok(Place::Crate(folder.clone()));
    }
    if path.join("Cargo.toml").is_file() {
        return Err(anyhow!(
            "there is no plugin \"{reference}\" among the plugin folders; for the crate in the folder {reference}, write \
             \"./{reference}\""
        ));
    }
    let known: Vec<String> = folders.iter().map(|folder| name(folder)).collect();
    let suggestion = nearest(reference, known.iter().map(String::as_str));
    let suggestion = suggestion.map_or(String::new(), |known| format!(", did you mean \"{known}\"?"));
    Err(anyhow!(
        "there is no plugin \"{reference}\"{suggestion}; found: {}. A plugin elsewhere is named by its folder or library",
        if known.is_empty() { "none".into() } else { known.join(", ") }
    ))
}

/// The crates in the `plugins` folder of this folder or one above it, else of the workspace the program comes from.
pub(crate) fn plugin_folders() -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let roots = here.ancestors().map(Path::to_path_buf).chain([workspace]);
    let found = roots.map(|root| crates_in(&root.join("plugins"))).find(|crates| !crates.is_empty());
    found.unwrap_or_default()
}

fn crates_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut crates: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.join("Cargo.toml").is_file()).collect();
    crates.sort();
    crates
}

fn name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
