//! Loads and checks everything that a run of an experiment needs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use walk_arch::{Network, OptionKind, OptionSpec, PluginInfo, Problem};
use walk_core::{DeviceName, Model, Point, Seed, backend_for};
use walk_data::{DataConfig, DataError, Images, Split};
use walk_record::PluginRecord;
use walk_train::probe::ProbeContext;
use walk_train::{Method, Ranks, Solo, read_point};

use crate::digest::sha256;
use crate::experiment::{Experiment, InitFrom};
use crate::experiment_source::ExperimentSource;
use crate::failure::Failure;
use crate::output;
use crate::plugin::{self, Plugin};

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
        let of_optim = experiment.optim.remarks(experiment.epochs);
        let of_values =
            of_optim.into_iter().chain(experiment.probe.remarks()).chain(other_parts(experiment, network));
        split.images.remarks.iter().cloned().chain(of_values).for_each(|remark| output::warn(&remark));
    }

    /// Checks the file that the initial parameters come from, if any.
    pub(crate) fn check_initial(&self, source: &ExperimentSource) -> Result<()> {
        match &self.experiment.init.from {
            Some(InitFrom::File(from)) => read_point(from, &self.network, "init.from")
                .map(|_| ())
                .map_err(|error| source.train_error(error)),
            _ => Ok(()),
        }
    }

    /// Checks the probes, which may read files.
    pub(crate) fn check_probes(&self, source: &ExperimentSource) -> Result<()> {
        let Self { experiment, network, split, .. } = self;
        // what the probes check does not depend on the device
        let backend = backend_for(DeviceName::Cpu, experiment.numerics.convolution);
        let model = Model::new(backend.context("the CPU is available")?, network.clone(), experiment.loss());
        let (optim, seed) = (&experiment.optim, Seed(experiment.seed));
        let ranks: Arc<dyn Ranks> = Arc::new(Solo);
        let context = ProbeContext { model: &model, train: &split.train, optim, seed, ranks: &ranks };
        experiment.probe.probes(context).map(|_| ()).map_err(|error| source.train_error(error))
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
    Preparation::default().prepare(source)
}

/// Prepares experiments; what they share is loaded once.
#[derive(Default)]
pub(crate) struct Preparation {
    /// The data sets read so far.
    images: Vec<(DataConfig, Arc<Images>)>,
    /// The last split.
    split: Option<(DataConfig, Split)>,
    /// The plugins, by how experiments name them.
    plugins: BTreeMap<String, OpenPlugin>,
}

/// A plugin, what it says of itself, and its library's SHA-256.
struct OpenPlugin {
    plugin: Plugin,
    info: PluginInfo,
    sha256: String,
}

impl Preparation {
    /// Loads data and plugin and checks every value of the experiment.
    pub(crate) fn prepare(&mut self, source: &ExperimentSource) -> Result<Prepared> {
        let mut experiment = Experiment::parse(source)?;
        let started = Instant::now();
        let split = self.split(&experiment.data).map_err(|error| match &error {
            DataError::Value { key, .. } => source.error_at(&format!("data.{key}"), &error),
            _ => source.error_at("data", &error),
        })?;
        let load_time = started.elapsed();
        check_values(source, &experiment, split.train.len())?;
        let OpenPlugin { plugin, info, sha256: library_sha256 } =
            self.plugin(source, &experiment.model.plugin)?;
        let library = plugin.library.display();
        let error_at =
            |key: &str, error: &dyn Display| source.error_at(key, format!("plugin {library}: {error:#}"));
        info.check_options(&experiment.model.options).map_err(|error| {
            let key = format!("model.options.{}", error.name());
            source.error_at(&key, format!("plugin {}: {error}", info.name))
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
        let plugin = PluginRecord {
            name: info.name.clone(),
            library: library.to_string(),
            sha256: library_sha256.clone(),
            default_options,
        };
        Ok(Prepared { experiment, network, network_sha256, split, plugin, option_files, initial, load_time })
    }

    /// The images of a data set, split.
    fn split(&mut self, config: &DataConfig) -> Result<Split, DataError> {
        if let Some((_, split)) = self.split.as_ref().filter(|(known, _)| known == config) {
            return Ok(split.clone());
        }
        let images = match self.images.iter().find(|(known, _)| known.is_read_like(config)) {
            Some((_, images)) => images.clone(),
            None => {
                let images = Arc::new(config.read()?);
                self.images.push((config.clone(), images.clone()));
                images
            }
        };
        let split = config.split(images)?;
        self.split = Some((config.clone(), split.clone()));
        Ok(split)
    }

    fn plugin(&mut self, source: &ExperimentSource, reference: &str) -> Result<&OpenPlugin> {
        Ok(match self.plugins.entry(reference.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let at = |error: anyhow::Error| source.error_at("model.plugin", format!("{error:#}"));
                let (plugin, info) = plugin::open_described(reference).map_err(at)?;
                let library = plugin.library.display();
                let bytes = std::fs::read(&plugin.library)
                    .with_context(|| format!("plugin {library}: cannot read the file"))?;
                let sha256 = sha256(bytes);
                new.insert(OpenPlugin { plugin, info, sha256 })
            }
        })
    }
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
