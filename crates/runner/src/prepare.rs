//! Loads and checks everything that a run of an experiment needs.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use walk_arch::{Network, OptionKind, OptionSpec, Problem};
use walk_core::Point;
use walk_data::{DataError, Split};
use walk_record::PluginRecord;
use walk_train::Method;

use crate::digest::sha256;
use crate::experiment::{Experiment, InitFrom};
use crate::experiment_source::ExperimentSource;
use crate::failure::Failure;
use crate::output::errln;
use crate::plugin;

/// Everything a run needs, checked.
pub(crate) struct Prepared {
    pub(crate) experiment: Experiment,
    pub(crate) network: Network,
    /// SHA-256 of its description.
    pub(crate) network_sha256: String,
    pub(crate) split: Split,
    pub(crate) plugin: PluginRecord,
    /// The plugin's options that are files, with their keys.
    pub(crate) option_files: Vec<(String, PathBuf)>,
    /// The plugin's own point, if the experiment starts from it.
    pub(crate) initial: Option<Point>,
    /// Time to read the data.
    pub(crate) load_time: Duration,
}

impl Prepared {
    /// Prints warnings about the data, such as files that were left out, and about values that are probably not what the
    /// user meant.
    pub(crate) fn warn(&self) {
        let Self { experiment, network, split, .. } = self;
        let of_values =
            experiment.optim.remarks(experiment.epochs).into_iter().chain(other_parts(experiment, network));
        split.images.remarks.iter().cloned().chain(of_values).for_each(|remark| errln!("warning: {remark}"));
    }
}

/// The probes, if any, whose batch norm statistics come from other parts of the samples than in gradient descent: they
/// measure a different loss from the one that is minimized.
fn other_parts(experiment: &Experiment, network: &Network) -> Option<String> {
    let optim = &experiment.optim;
    if optim.method != Method::Gd || !network.has_batch_norm() {
        return None;
    }
    let size = i64::try_from(optim.batch_size).ok()?;
    let probes = toml::Table::try_from(&experiment.probe).ok()?;
    let differs = |section: &toml::Value| {
        let (chunk, statistics) = (section.get("chunk"), section.get("batch_norm"));
        chunk.is_some_and(|chunk| chunk.as_integer() != Some(size))
            && statistics.and_then(toml::Value::as_str) == Some("batch")
    };
    let names: Vec<String> = probes
        .iter()
        .filter(|(_, section)| differs(section))
        .map(|(name, _)| format!("`probe.{name}.chunk`"))
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "{}: not {size} (`optim.batch_size`), the size of the parts from which gradient descent takes its batch norm \
             statistics; the measured loss is not the one that is minimized",
            names.join(", ")
        )
    })
}

/// Runs `work` in a pool of threads, on all cores if no number is given. Work that starts inside the pool avoids the cost of
/// entering it for every piece.
pub(crate) fn on_threads<R: Send>(
    threads: Option<u16>,
    work: impl FnOnce() -> Result<R, Failure> + Send,
) -> Result<R, Failure> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0).into());
    builder.build().context("cannot start the threads")?.install(work)
}

/// Loads data and plugin and checks every value of the experiment.
pub(crate) fn prepare(source: &ExperimentSource) -> Result<Prepared> {
    let mut experiment = Experiment::parse(source)?;
    let started = Instant::now();
    let split = experiment.data.load().map_err(|error| match &error {
        DataError::Value { key, .. } => source.error_at(&format!("data.{key}"), &error),
        _ => source.error_at("data", &error),
    })?;
    let load_time = started.elapsed();
    check_values(source, &experiment, split.train.len())?;
    let model = &experiment.model;
    let plugin =
        plugin::open(&model.plugin).map_err(|error| source.error_at("model.plugin", format!("{error:#}")))?;
    let library = plugin.library.display();
    let error_at =
        |key: &str, error: &dyn Display| source.error_at(key, format!("plugin {library}: {error:#}"));
    let info = plugin.describe().map_err(|error| error_at("model.plugin", &error))?;
    info.check_options(&model.options).map_err(|error| {
        source.error_at(&format!("model.options.{}", error.name()), format!("plugin {}: {error}", info.name))
    })?;
    let default_options = info.add_defaults(&mut experiment.model.options);
    let problem = Problem { input: split.images.shape.to_vec(), classes: split.images.classes.len() };
    let graph = plugin.build(&problem, &experiment.model.options);
    let graph = graph.map_err(|error| error_at("model", &error))?;
    let description = serde_json::to_vec(&graph).context("cannot describe the network")?;
    let network_sha256 = sha256(description);
    let network = graph.check(&problem).map_err(|error| error_at("model", &error))?;
    let checked = experiment.optim.check_batch_norm(split.train.len(), &network);
    checked.map_err(|error| source.train_error(error))?;
    let initial = match experiment.init.from {
        Some(InitFrom::Plugin) => {
            let point = plugin.initial_point(&network, &experiment.model.options);
            Some(point.map_err(|error| error_at("init.from", &error))?)
        }
        _ => None,
    };
    let is_file = |option: &&OptionSpec| option.kind == OptionKind::File;
    let option_files = info.options.iter().filter(is_file).filter_map(|option| {
        let path = experiment.model.options.get(&option.name)?.as_str()?;
        Some((format!("model.options.{}", option.name), PathBuf::from(path)))
    });
    let option_files = option_files.collect();
    let bytes =
        std::fs::read(&plugin.library).with_context(|| format!("plugin {library}: cannot read the file"))?;
    let sha256 = sha256(bytes);
    let plugin = PluginRecord { name: info.name, library: library.to_string(), sha256, default_options };
    Ok(Prepared { experiment, network, network_sha256, split, plugin, option_files, initial, load_time })
}

/// Checks the values that depend on the number of training samples.
pub(crate) fn check_values(source: &ExperimentSource, experiment: &Experiment, samples: usize) -> Result<()> {
    let Experiment { optim, epochs, checkpoint, probe, .. } = experiment;
    let check = || {
        optim.check(samples)?;
        checkpoint.check(*epochs)?;
        probe.check(*epochs, optim.updates_per_epoch(samples))
    };
    check().map_err(|error| source.train_error(error))
}
