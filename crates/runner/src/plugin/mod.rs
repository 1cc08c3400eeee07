//! Finds, builds and loads plugins.

mod build;
mod load;
mod locate;

use std::path::PathBuf;

use anyhow::{Context, Result};
use walk_arch::PluginHandle;

pub(crate) use locate::{Place, plugin_folders};

/// A loaded plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// Its functions.
    pub(crate) handle: PluginHandle,
    /// Where its library lies.
    pub(crate) library: PathBuf,
}

/// Loads a plugin by its crate name, its folder or its library; builds it first unless it is a library.
pub(crate) fn open(reference: &str) -> Result<Plugin> {
    let library = match locate::locate(reference)? {
        Place::Library(path) => path,
        Place::Crate(folder) => build::library(&folder)?,
    };
    let library = library.canonicalize().with_context(|| format!("{}: not found", library.display()))?;
    Ok(Plugin { handle: load::load(&library)?, library })
}
