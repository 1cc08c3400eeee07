//! Files that `scripts/install.sh` installs: `PREFIX/bin/sgdwalk`, `PREFIX/lib/sgdwalk/plugins` and `PREFIX/share/sgdwalk`.

use std::path::{Path, PathBuf};

/// The folder that the program was installed into.
fn prefix() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let prefix = program.parent()?.parent()?;
    prefix.join("share/sgdwalk").is_dir().then(|| prefix.to_path_buf())
}

/// The folder of plugin libraries: that of the installation, or `plugins` next to the program.
pub(crate) fn plugins() -> Option<PathBuf> {
    let installed = prefix().map(|prefix| prefix.join("lib/sgdwalk/plugins"));
    installed.or_else(|| Some(std::env::current_exe().ok()?.parent()?.join("plugins")))
}

/// The crate that plugins depend on: that of the installation, or of the workspace the program was built from.
pub(crate) fn arch() -> PathBuf {
    match prefix() {
        Some(prefix) => prefix.join("share/sgdwalk/walk-arch"),
        None => workspace().join("crates/arch"),
    }
}

/// The workspace that the program was built from.
pub(crate) fn workspace() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.canonicalize().unwrap_or(workspace)
}

/// The path itself if it exists, otherwise the installed file of that name, such as `experiments/quick.toml`.
pub(crate) fn find(path: &Path) -> PathBuf {
    let installed =
        || prefix().map(|prefix| prefix.join("share/sgdwalk").join(path)).filter(|path| path.exists());
    if path.exists() { path.into() } else { installed().unwrap_or_else(|| path.into()) }
}
