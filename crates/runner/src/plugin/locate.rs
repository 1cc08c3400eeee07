//! Finds plugins.

use std::env::consts::{DLL_EXTENSION, DLL_PREFIX, DLL_SUFFIX};
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use walk_arch::nearest;

use crate::installation;

/// What a plugin reference points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A library, loaded as is.
    Library(PathBuf),
    /// The folder of a crate, built when needed.
    Crate(PathBuf),
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Self::Library(path) | Self::Crate(path)) = self;
        path.display().fmt(f)
    }
}

/// A path (with a separator or the libraries' extension) or a plugin's name.
pub(crate) fn locate(reference: &str) -> Result<Place> {
    let path = Path::new(reference);
    let is_library = path.extension().is_some_and(|extension| extension == DLL_EXTENSION);
    if is_library || reference.contains(std::path::is_separator) {
        return if path.is_file() {
            Ok(Place::Library(path.into()))
        } else if path.join("Cargo.toml").is_file() {
            Ok(Place::Crate(path.into()))
        } else {
            Err(anyhow!("plugin {reference}: neither a library nor a crate (a folder with Cargo.toml)"))
        };
    }
    let named = named();
    if let Some((_, place)) = named.iter().find(|(name, _)| name == reference) {
        return Ok(place.clone());
    }
    if path.join("Cargo.toml").is_file() {
        return Err(anyhow!(
            "no plugin \"{reference}\" in the plugin folders; for the crate in the folder {reference}, write \
             \"./{reference}\""
        ));
    }
    let known: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let suggestion = nearest(reference, known.iter().copied());
    let suggestion = suggestion.map_or(String::new(), |known| format!(", did you mean \"{known}\"?"));
    Err(anyhow!(
        "no plugin \"{reference}\"{suggestion}; available: {}. For a plugin elsewhere, give its folder or library",
        if known.is_empty() { "none".into() } else { known.join(", ") }
    ))
}

/// The plugins known by name: the crates in the `plugins` folder of the current folder or a parent; else the libraries that were
/// installed with the program or are in the `plugins` folder next to it; else the crates of the workspace it was built from.
pub(crate) fn named() -> Vec<(String, Place)> {
    let here = std::env::current_dir().unwrap_or_default();
    let found = here.ancestors().map(|root| crates_in(&root.join("plugins")));
    let found = found.chain(installation::plugins().map(|folder| libraries_in(&folder)));
    let mut found = found.chain([crates_in(&installation::workspace().join("plugins"))]);
    found.find(|places| !places.is_empty()).unwrap_or_default()
}

fn crates_in(folder: &Path) -> Vec<(String, Place)> {
    let name = |path: PathBuf| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        path.join("Cargo.toml").is_file().then_some((name, Place::Crate(path)))
    };
    sorted(folder, name)
}

fn libraries_in(folder: &Path) -> Vec<(String, Place)> {
    let name = |path: PathBuf| {
        let file = path.file_name()?.to_str()?;
        let name = file.strip_prefix(DLL_PREFIX)?.strip_suffix(DLL_SUFFIX)?.to_owned();
        Some((name, Place::Library(path)))
    };
    sorted(folder, name)
}

/// The results of `named` for the entries of a folder, sorted by name.
fn sorted(folder: &Path, named: impl Fn(PathBuf) -> Option<(String, Place)>) -> Vec<(String, Place)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut places: Vec<_> = entries.filter_map(|entry| named(entry.path())).collect();
    places.sort_by(|one, other| one.0.cmp(&other.0));
    places
}
