//! `sgdwalk selfcheck`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use walk_arch::{Activation, Network, Op, OptionValues};
use walk_core::{Backend, Convolution, Difference, Quantity, differences, layer_networks};
use walk_report::{Cell, Column, Extent, Role, Table};

use crate::cli::SelfCheckArguments;
use crate::device;
use crate::failure::Failure;
use crate::output::{errln, outln, print_table, wrapped};
use crate::plugin;
use crate::plugins_command::cifar10;
use crate::prepare::on_threads;

/// Number of samples for the network of a layer, and for a plugin's network.
const SAMPLES: [usize; 2] = [12, 3];

/// Compares a device with the f64 reference and prints a table.
pub(crate) fn selfcheck(arguments: &SelfCheckArguments) -> Result<(), Failure> {
    on_threads(arguments.threads, || {
        let backend = device::backend(arguments.device, Convolution::default()).context("--device")?;
        let layers = layer_networks().into_iter().map(|(name, network)| (name, network, SAMPLES[0]));
        let plugins = networks(&arguments.only)?.into_iter();
        let plugins = plugins.map(|(name, network)| (name, network, SAMPLES[1]));
        compare(&*backend, layers.chain(plugins).collect())
    })
}

/// The default networks of plugins for CIFAR-10 images; of all available plugins if none is named. SiLU replaces ReLU: where
/// rounding changes the sign of a ReLU's input, gradients change by far more than the rounding error.
fn networks(only: &[String]) -> Result<Vec<(String, Arc<Network>)>, Failure> {
    let found = || plugin::named().into_iter().map(|(name, _)| name).collect();
    let references = if only.is_empty() { found() } else { only.to_vec() };
    let problem = cifar10();
    let mut networks = vec![];
    for reference in references {
        let (plugin, info) = plugin::open_described(&reference)?;
        let context = || format!("plugin {}", plugin.library.display());
        let name = info.name;
        let mut graph = match plugin.build(&problem, &OptionValues::default()) {
            Ok(graph) => graph,
            // a plugin that was not asked for need not have a network without options
            Err(error) if only.is_empty() => {
                errln!("{name} is left out: {error:#}");
                continue;
            }
            Err(error) => return Err(error.context(context()).into()),
        };
        for node in &mut graph.nodes {
            if node.op == Op::Activation(Activation::Relu) {
                node.op = Op::Activation(Activation::Silu);
            }
        }
        networks.push((name, Arc::new(graph.check(&problem).with_context(context)?)));
    }
    Ok(networks)
}

fn compare(backend: &dyn Backend, networks: Vec<(String, Arc<Network>, usize)>) -> Result<(), Failure> {
    let mut rows = vec![];
    let (mut broken, mut worst) = (vec![], [0.0f64; Quantity::ALL.len()]);
    for (name, network, samples) in networks {
        let found = differences(backend, &network, samples).map_err(Failure::run)?;
        let is_broken = |difference: &Difference| difference.error > bound(difference.quantity);
        let cell = |difference: &Difference| {
            let mark = if is_broken(difference) { " !" } else { "" };
            format!("{:.1e}{mark}", difference.error)
        };
        let time: Duration = found.iter().map(|difference| difference.time).sum();
        let time = format!("{:.1} ms", 1e3 * time.as_secs_f64());
        rows.push([name.clone()].into_iter().chain(found.iter().map(cell)).chain([time]).collect());
        if found.iter().any(is_broken) {
            broken.push(name);
        }
        worst.iter_mut().zip(&found).for_each(|(worst, difference)| *worst = worst.max(difference.error));
    }
    let bounds = Quantity::ALL.map(|quantity| format!("{:.0e}", bound(quantity)));
    for (name, cells) in [("largest", worst.map(|worst| format!("{worst:.1e}"))), ("bound", bounds)] {
        rows.push([name.to_owned()].into_iter().chain(cells).chain([String::new()]).collect::<Vec<_>>());
    }
    let rows = rows.into_iter().map(|row| row.into_iter().map(Cell::from).collect());
    let columns = [
        Column::new("network", "network", Role::Name),
        Column::new("losses", "losses", Role::Main),
        Column::new("gradient", "gradient", Role::Main),
        Column::new("hv", "Hv", Role::Main),
        Column::new("gv", "Gv", Role::Main),
        Column::new("sample_norms", "per-sample gradient norms", Role::Main),
        Column::new("time", "time", Role::Main),
    ];
    let title = format!("Relative errors of {}", backend.name());
    print_table(&Table::new("selfcheck", title, columns, rows), Extent::All);
    outln!(
        "{}",
        wrapped(
            "Hv is the Hessian times a vector, Gv the Gauss-Newton matrix times it; errors are relative to dfdx's operations on the CPU in f64, the largest over all losses and both modes \
             of batch norm; times are the device's; plugins' networks have SiLU in place of ReLU, in whose kink gradients jump"
        )
    );
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::Run(anyhow!("error above the bound: {}", broken.join(", "))))
}

/// The largest relative error that rounding can explain.
fn bound(quantity: Quantity) -> f64 {
    match quantity {
        Quantity::Losses => 1e-5,
        Quantity::Gradient | Quantity::SampleNorms => 1e-4,
        Quantity::HessianVector | Quantity::GaussNewtonVector => 1e-3,
    }
}
