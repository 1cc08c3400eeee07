//! `sgdwalk plugins [NAME]`.

use anyhow::Context;
use walk_arch::{Network, OptionValues, PluginInfo, Problem};
use walk_report::{Cell, Column, Extent, Role, Table};

use crate::failure::Failure;
use crate::output::{outln, print_table};
use crate::plugin;

/// The image shape that parameters and multiply-adds are counted for: that of CIFAR-10.
const SHAPE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;

/// The problem of CIFAR-10.
pub(crate) fn cifar10() -> Problem {
    Problem { input: SHAPE.to_vec(), classes: CLASSES }
}

/// Lists the available plugins.
pub(crate) fn list() -> Result<(), Failure> {
    let mut rows = vec![];
    for (name, place) in plugin::named() {
        let Description { info, network } = open(&name)?;
        let size = |cell: fn(&Network) -> Cell| network.as_ref().map_or(Cell::Missing, cell);
        let n_params = size(|network| network.n_params().into());
        let mflop = size(|network| mflop(network).into());
        let options: Vec<String> = info.options.into_iter().map(|option| option.name).collect();
        let options = options.join(", ");
        let place = place.to_string();
        rows.push(vec![info.name.into(), info.about.into(), n_params, mflop, options.into(), place.into()]);
    }
    let columns = [
        Column::new("plugin", "plugin", Role::Name),
        Column::new("about", "about", Role::Words),
        Column::new("parameters", "parameters", Role::Main),
        Column::new("mflop", "MFLOP per image", Role::Main),
        Column::new("options", "options", Role::Remark),
        Column::new("crate", "crate", Role::Remark),
    ];
    let [channels, height, width] = SHAPE;
    let title =
        format!("Plugins (sizes: default network, {channels}x{height}x{width} images, {CLASSES} classes)");
    print_table(&Table::new("plugins", title, columns, rows), Extent::All);
    Ok(())
}

/// Prints a plugin's options.
pub(crate) fn describe(name: &str) -> Result<(), Failure> {
    let Description { info, network } = open(name)?;
    outln!("{}: {}", info.name, info.about);
    if let Some(network) = network {
        let (n_params, mflop) = (network.n_params(), mflop(&network));
        outln!("by default: {n_params} parameters, {mflop} MFLOP per 3x32x32 image, {CLASSES} classes");
    }
    outln!("{}", if info.options.is_empty() { "It has no options." } else { "\n[model.options]" });
    for option in info.options {
        outln!("{} = {}\n    {}; {}", option.name, option.default, option.help, option.kind);
    }
    Ok(())
}

/// What a plugin reports about itself.
struct Description {
    info: PluginInfo,
    /// Its default network, if it supports such images.
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
