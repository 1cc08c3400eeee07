//! `runner plugins [NAME]`.
#![expect(clippy::print_stdout, reason = "a command's output")]

use anyhow::Context;
use tabled::builder::Builder;
use tabled::settings::Style;
use walk_arch::PluginInfo;

use crate::failure::Failure;
use crate::plugin;

/// Lists the plugins found, or one plugin's options.
pub(crate) fn list(name: Option<&str>) -> Result<(), Failure> {
    match name {
        Some(name) => describe(name),
        None => list_all(),
    }
}

fn list_all() -> Result<(), Failure> {
    let mut builder = Builder::default();
    builder.push_record(["plugin", "about", "crate"]);
    for folder in plugin::plugin_folders() {
        let reference = folder.display().to_string();
        let info = info(&reference)?;
        builder.push_record([info.name, info.about, reference]);
    }
    println!("{}", builder.build().with(Style::rounded()));
    Ok(())
}

fn info(reference: &str) -> Result<PluginInfo, Failure> {
    let plugin = plugin::open(reference)?;
    let info = plugin.handle.describe().with_context(|| format!("plugin {}", plugin.library.display()))?;
    Ok(info)
}

fn describe(name: &str) -> Result<(), Failure> {
    let info = info(name)?;
    println!("{}: {}", info.name, info.about);
    println!("{}", if info.options.is_empty() { "It has no options." } else { "\n[model.options]" });
    for option in info.options {
        println!("{} = {}\n    {}; {}", option.name, option.default, option.help, option.kind);
    }
    Ok(())
}
