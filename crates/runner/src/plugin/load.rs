//! Loads a plugin's library.
#![expect(unsafe_code, reason = "loading a library and calling into it")]

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use libloading::{Library, Symbol};
use walk_arch::PluginHandle;
use walk_arch::abi::{EntryFn, SYMBOL};

/// Loads the library at an absolute path, for the rest of the process, and checks its function table.
pub(crate) fn load(path: &Path) -> Result<PluginHandle> {
    let what = || format!("plugin {}", path.display());
    // SAFETY: loading runs the library's initializers; the user names the library and trusts it as a program
    let library = unsafe { Library::new(path) }
        .map_err(|error| anyhow!("{}: cannot load the library: {error}", what()))?;
    // never unloaded: the table and the graph's functions live as long as the process
    let library: &'static Library = Box::leak(Box::new(library));
    // SAFETY: walk-arch's ABI fixes the symbol's type
    let entry: Symbol<'static, EntryFn> = unsafe { library.get(SYMBOL.as_bytes()) }.map_err(|_| {
        anyhow!("{}: not a plugin: it does not export `{SYMBOL}` (walk_arch::export_plugin! does)", what())
    })?;
    let table = entry();
    // SAFETY: the table came from the plugin's entry point and its library is never unloaded
    unsafe { PluginHandle::new(table) }.with_context(what)
}
