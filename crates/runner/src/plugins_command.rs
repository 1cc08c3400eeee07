//! `sgdwalk plugins [NAME]`.
#![expect(clippy::print_stdout, reason = "a command's output")]

use anyhow::Context;
use tabled::builder::Builder;
use tabled::settings::Style;
use walk_arch::{Network, OptionValues, PluginInfo, Problem};

use crate::failure::Failure;
use crate::plugin;

/// The images that parameters and multiply-adds are counted for: CIFAR-10's.
const SHAPE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;

/// Lists the plugins found, or one plugin's options.
pub(crate) fn list(name: Option<&str>) -> Result<(), Failure> {
    match name {
        Some(name) => describe(name),
        None => list_all(),
    }
}

fn list_all() -> Result<(), Failure> {
    let mut builder = Builder::default();
    builder.push_record(["plugin", "about", "parameters", "MFLOP per image", "options", "crate"]);
    for folder in plugin::plugin_folders() {
        let reference = folder.display().to_string();
        let (info, network) = open(&reference)?;
        let (params, flops) = size(network.as_ref());
        let options: Vec<String> = info.options.into_iter().map(|option| option.name).collect();
        builder.push_record([info.name, info.about, params, flops, options.join(", "), reference]);
    }
    println!("{}", builder.build().with(Style::rounded()));
    println!("sizes are of the default options for {}x{} images in {CLASSES} classes", SHAPE[1], SHAPE[2]);
    Ok(())
}

/// What a plugin says of itself, and its default network if it has one for such images.
fn open(reference: &str) -> Result<(PluginInfo, Option<Network>), Failure> {
    let plugin = plugin::open(reference)?;
    let info = plugin.handle.describe().with_context(|| format!("plugin {}", plugin.library.display()))?;
    let problem = Problem { input: SHAPE.to_vec(), classes: CLASSES };
    let graph = plugin.handle.build(&problem, &OptionValues::default());
    Ok((info, graph.ok().and_then(|graph| graph.check(&problem).ok())))
}

/// Parameters, and millions of floating point operations of a forward pass.
fn size(network: Option<&Network>) -> (String, String) {
    match network {
        Some(network) => {
            let flops = 2.0 * network.multiply_adds() as f64 / 1e6;
            (network.n_params().to_string(), format!("{flops:.1}"))
        }
        None => ("-".into(), "-".into()),
    }
}

fn describe(name: &str) -> Result<(), Failure> {
    let (info, network) = open(name)?;
    println!("{}: {}", info.name, info.about);
    if network.is_some() {
        let (params, flops) = size(network.as_ref());
        println!(
            "by default {params} parameters and {flops} MFLOP per image of 3x32x32 in {CLASSES} classes"
        );
    }
    println!("{}", if info.options.is_empty() { "It has no options." } else { "\n[model.options]" });
    for option in info.options {
        println!("{} = {}\n    {}; {}", option.name, option.default, option.help, option.kind);
    }
    Ok(())
}
