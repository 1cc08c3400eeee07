//! Finds, builds and loads plugins.

mod build;
mod load;
mod locate;
mod patience;

use std::path::PathBuf;

use anyhow::{Context, Result};
use walk_arch::{Graph, Network, OptionValues, PluginHandle, PluginInfo, Problem};
use walk_core::Point;

use self::patience::answer;

pub(crate) use locate::{Place, named};

/// A loaded plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// Its functions.
    handle: PluginHandle,
    /// The path of its library.
    pub(crate) library: PathBuf,
}

/// Loads a plugin by its name, its folder or its library; builds it first unless it is a library.
pub(crate) fn open(reference: &str) -> Result<Plugin> {
    let library = match locate::locate(reference)? {
        Place::Library(path) => path,
        Place::Crate(folder) => build::library(&folder)?,
    };
    let library = library.canonicalize().with_context(|| format!("{}: not found", library.display()))?;
    let path = library.clone();
    let handle = answer("loading it", move || load::load(&path));
    let handle = handle.with_context(|| format!("plugin {}", library.display()))??;
    Ok(Plugin { handle, library })
}

/// Loads a plugin as [`open`] does, and what it says of itself.
pub(crate) fn open_described(reference: &str) -> Result<(Plugin, PluginInfo)> {
    let plugin = open(reference)?;
    let info = plugin.describe().with_context(|| format!("plugin {}", plugin.library.display()))?;
    Ok((plugin, info))
}

impl Plugin {
    /// Its name, description and options.
    pub(crate) fn describe(&self) -> Result<PluginInfo> {
        let handle = self.handle;
        Ok(answer("`describe`", move || handle.describe())??)
    }

    /// θ and the buffers that its network for these options starts from.
    pub(crate) fn initial_point(&self, network: &Network, options: &OptionValues) -> Result<Point> {
        let (handle, network, options) = (self.handle, network.clone(), options.clone());
        let read = move || handle.initial_point(&network, network.problem(), &options);
        let [params, buffers] = answer("`initial_values`", read)??;
        Ok(Point { params, buffers })
    }

    /// Its graph for a problem, unchecked.
    pub(crate) fn build(&self, problem: &Problem, options: &OptionValues) -> Result<Graph> {
        let (handle, problem, options) = (self.handle, problem.clone(), options.clone());
        Ok(answer("`build`", move || handle.build(&problem, &options))??)
    }
}
