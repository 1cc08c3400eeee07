//! `sgdwalk plugins [NAME]`.

use anyhow::Context;
use tabled::builder::Builder;
use tabled::settings::Style;
use walk_arch::{Network, OptionValues, PluginInfo, Problem};

use crate::failure::Failure;
use crate::output::outln;
use crate::plugin;

/// The images that parameters and multiply-adds are counted for: CIFAR-10's.
const SHAPE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;

/// The problem of CIFAR-10.
pub(crate) fn cifar10() -> Problem {
    Problem { input: SHAPE.to_vec(), classes: CLASSES }
}

/// Lists the plugins found.
pub(crate) fn list() -> Result<(), Failure> {
    let mut builder = Builder::default();
    builder.push_record(["plugin", "about", "parameters", "MFLOP per image", "options", "crate"]);
    for (name, place) in plugin::named() {
        let Description { info, network } = open(&name)?;
        let size = |cell: fn(&Network) -> String| network.as_ref().map_or("-".into(), cell);
        let (n_params, mflop) = (size(|network| network.n_params().to_string()), size(mflop));
        let options: Vec<String> = info.options.into_iter().map(|option| option.name).collect();
        builder.push_record([info.name, info.about, n_params, mflop, options.join(", "), place.to_string()]);
    }
    outln!("{}", builder.build().with(Style::rounded()));
    outln!("sizes are of the default options for {}x{} images in {CLASSES} classes", SHAPE[1], SHAPE[2]);
    Ok(())
}

/// Prints a plugin's options.
pub(crate) fn describe(name: &str) -> Result<(), Failure> {
    let Description { info, network } = open(name)?;
    outln!("{}: {}", info.name, info.about);
    if let Some(network) = network {
        let (n_params, mflop) = (network.n_params(), mflop(&network));
        outln!(
            "by default {n_params} parameters and {mflop} MFLOP per image of 3x32x32 in {CLASSES} classes"
        );
    }
    outln!("{}", if info.options.is_empty() { "It has no options." } else { "\n[model.options]" });
    for option in info.options {
        outln!("{} = {}\n    {}; {}", option.name, option.default, option.help, option.kind);
    }
    Ok(())
}

/// What a plugin says of itself.
struct Description {
    info: PluginInfo,
    /// Its default network, if it has one for such images.
    network: Option<Network>,
}

fn open(reference: &str) -> Result<Description, Failure> {
    let plugin = plugin::open(reference)?;
    let info = plugin.describe().with_context(|| format!("plugin {}", plugin.library.display()))?;
    let problem = cifar10();
    let graph = plugin.build(&problem, &OptionValues::default());
    Ok(Description { info, network: graph.ok().and_then(|graph| graph.check(&problem).ok()) })
}

/// Millions of floating-point operations of a forward pass.
fn mflop(network: &Network) -> String {
    format!("{:.1}", 2.0 * network.multiply_adds() as f64 / 1e6)
}
