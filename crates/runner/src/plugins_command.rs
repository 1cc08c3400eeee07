//! `sgdwalk plugins [NAME]`.

use anyhow::{Context, anyhow};
use walk_arch::{Network, OptionValues, Problem};
use walk_report::{Cell, Column, Extent, Role, Table};

use crate::cli::PluginArguments;
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
fn list() -> Result<(), Failure> {
    let mut rows = vec![];
    for (name, place) in plugin::named() {
        let (plugin, info) = plugin::open_described(&name)?;
        let problem = cifar10();
        let graph = plugin.build(&problem, &OptionValues::default());
        let network = graph.ok().and_then(|graph| graph.check(&problem).ok());
        let size = |cell: fn(&Network) -> Cell| network.as_ref().map_or(Cell::Missing, cell);
        let n_params = size(|network| network.n_params().into());
        let mflop = size(|network| format!("{:.1}", mflop(network.multiply_adds())).into());
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

/// Prints a plugin's options, and its network for the values that are given, layer by layer.
pub(crate) fn describe(arguments: &PluginArguments) -> Result<(), Failure> {
    let PluginArguments { name, settings, input, classes, layers } = arguments;
    let Some(name) = name else { return list() };
    let (plugin, info) = plugin::open_described(name)?;
    let context = || format!("plugin {}", plugin.library.display());
    let mut options = OptionValues::new();
    for setting in settings {
        let value = serde_json::to_value(setting.value()).with_context(|| setting.text().to_owned())?;
        options.insert(setting.key(), value);
    }
    info.check_options(&options).map_err(|error| anyhow!("--set: plugin {}: {error}", info.name))?;
    let problem = Problem { input: input.0.clone(), classes: *classes };
    let built = plugin.build(&problem, &options).and_then(|graph| Ok(graph.check(&problem)?));
    let shown = *layers || !settings.is_empty();
    // a plugin need not have a network for the default options
    let network = if shown { Some(built.with_context(context)?) } else { built.ok() };
    outln!("{}: {}", info.name, info.about);
    if let Some(network) = &network {
        let (n_params, mflop) = (network.n_params(), mflop(network.multiply_adds()));
        let how = if settings.is_empty() { "by default" } else { "with these options" };
        outln!("{how}: {n_params} parameters, {mflop:.1} MFLOP per {input} image, {classes} classes");
    }
    outln!("{}", if info.options.is_empty() { "It has no options." } else { "\n[model.options]" });
    for option in info.options {
        outln!("{} = {}\n    {}; {}", option.name, option.default, option.help, option.kind);
    }
    if let Some(network) = network.filter(|_| shown) {
        print_table(&layer_table(&network), Extent::All);
    }
    Ok(())
}

/// The layers of a network, each with the shape of its value for one image.
fn layer_table(network: &Network) -> Table {
    let rows = network.layers().iter().map(|layer| {
        let shape: Vec<String> = layer.shape.iter().map(usize::to_string).collect();
        let params = layer.params.as_ref().map_or(0, |params| params.weight.len() + params.bias.len());
        let mflop = mflop(network.layer_multiply_adds(layer));
        vec![
            layer.name.clone().into(),
            layer.op.name().into(),
            shape.join("x").into(),
            if params == 0 { Cell::Missing } else { params.into() },
            if mflop > 0.0 { format!("{mflop:.3}").into() } else { Cell::Missing },
        ]
    });
    let columns = [
        Column::new("layer", "layer", Role::Name),
        Column::new("operation", "operation", Role::Words),
        Column::new("shape", "shape", Role::Main),
        Column::new("parameters", "parameters", Role::Main),
        Column::new("mflop", "MFLOP", Role::Main),
    ];
    Table::new("layers", "Layers", columns, rows)
}

/// Millions of floating-point operations of so many multiply-adds.
fn mflop(multiply_adds: usize) -> f64 {
    2.0 * multiply_adds as f64 / 1e6
}
