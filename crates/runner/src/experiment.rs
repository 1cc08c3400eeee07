//! The experiment file as a whole; each section belongs to the crate that it configures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_arch::OptionValues;
use walk_core::{Convolution, DeviceName, Loss};
use walk_data::DataConfig;
use walk_record::RunFolder;
use walk_report::ClaimName;
use walk_train::probe::ProbeConfig;
use walk_train::{CheckpointConfig, OptimConfig};

use crate::digest::sha256;
use crate::experiment_source::{ExperimentSource, Setting, check_folder_name};

/// How many seeds an experiment can be run with at once; the limit keeps a typo from filling the disk.
pub(crate) const SEEDS: std::ops::RangeInclusive<i64> = 1..=10_000;

/// An experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Experiment {
    /// Name of the run folder; the file's name by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Seed of every random stream.
    #[serde(default = "paper_seed")]
    pub(crate) seed: u64,
    /// Passes over the training samples.
    pub(crate) epochs: u32,
    /// The claims, of the paper or of other publications, that this experiment tests, for `sgdwalk reproduce`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) claims: Vec<ClaimName>,
    /// Number of consecutive seeds, starting with `seed`, that `sgdwalk reproduce` runs this experiment with; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reproduce_seeds: Option<u32>,
    /// Where the network runs.
    #[serde(default)]
    pub(crate) device: DeviceName,
    /// The loss to minimize.
    #[serde(default)]
    pub(crate) loss: LossName,
    /// ε of label smoothing for `cross_entropy`: targets are 1 - ε + ε/K for a sample's class and ε/K for the others of K
    /// classes, as in PyTorch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) label_smoothing: f32,
    /// Numerical options.
    #[serde(default)]
    pub(crate) numerics: NumericsSection,
    /// The architecture.
    pub(crate) model: ModelSection,
    /// The data.
    pub(crate) data: DataConfig,
    /// The optimizer.
    pub(crate) optim: OptimConfig,
    /// What to measure.
    #[serde(default)]
    pub(crate) probe: ProbeConfig,
    /// What else to record.
    #[serde(default)]
    pub(crate) record: RecordSection,
    /// Which checkpoints to keep for resuming and forking.
    #[serde(default)]
    pub(crate) checkpoint: CheckpointConfig,
    /// The initial parameters.
    #[serde(default)]
    pub(crate) init: InitSection,
}

/// The initial parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InitSection {
    /// A safetensors file with parameters and buffers under their PyTorch names, in F32, F16 or BF16; a prefix `module.`,
    /// `_orig_mod.` or `model.` shared by all names is ignored. Or `"plugin"`: the plugin's own values, such as those in an ONNX
    /// file. By default, parameters are drawn at random from the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<InitFrom>,
}

/// Where initial values come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "PathBuf", into = "PathBuf")]
#[schemars(with = "PathBuf")]
pub(crate) enum InitFrom {
    /// The plugin.
    Plugin,
    /// A file.
    File(PathBuf),
}

impl From<PathBuf> for InitFrom {
    fn from(path: PathBuf) -> Self {
        if path == Path::new(PLUGIN) { Self::Plugin } else { Self::File(path) }
    }
}

impl From<InitFrom> for PathBuf {
    fn from(from: InitFrom) -> Self {
        match from {
            InitFrom::Plugin => PLUGIN.into(),
            InitFrom::File(path) => path,
        }
    }
}

/// What stands in the place of a file for the plugin's own values; a file of this name is `./plugin`.
const PLUGIN: &str = "plugin";

/// What to record besides measurements.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordSection {
    /// Whether to record the order of each epoch's samples.
    #[serde(default)]
    pub(crate) order: bool,
    /// Whether to write TensorBoard event files to the folder `tensorboard` of the run.
    #[serde(default)]
    pub(crate) tensorboard: bool,
}

/// The loss to minimize.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LossName {
    /// Cross-entropy of the softmax.
    #[default]
    CrossEntropy,
    /// ½ ‖z - onehot(y)‖².
    SquaredError,
    /// ‖z - onehot(y)‖² / K for K classes, as PyTorch's `mse_loss` of the outputs.
    Mse,
}

/// Numerical options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumericsSection {
    /// How convolutions are computed on `device = "cpu"`.
    #[serde(default)]
    pub(crate) convolution: Convolution,
}

/// The architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelSection {
    /// The plugin: its crate name, folder or library.
    pub(crate) plugin: String,
    /// The plugin's options; `sgdwalk plugins NAME` lists them.
    #[serde(default)]
    pub(crate) options: OptionValues,
}

const fn paper_seed() -> u64 {
    1111
}

impl Experiment {
    /// Reads an experiment and checks everything that can be checked without the data and the plugin.
    pub(crate) fn parse(source: &ExperimentSource) -> Result<Self> {
        let mut experiment: Self = source.parse()?;
        if experiment.epochs == 0 {
            return Err(source.error_at("epochs", "`epochs` = 0, expected at least 1"));
        }
        if let Some(seeds) = experiment.reproduce_seeds.filter(|&seeds| !SEEDS.contains(&seeds.into())) {
            let wrong = format!("`reproduce_seeds` = {seeds}, expected 1 to {}", SEEDS.end());
            return Err(source.error_at("reproduce_seeds", wrong));
        }
        experiment.optim.resolve(experiment.epochs);
        let smoothing = experiment.label_smoothing;
        if !(0.0..1.0).contains(&smoothing) {
            let wrong = format!("`label_smoothing` = {smoothing}, expected a number from 0, below 1");
            return Err(source.error_at("label_smoothing", wrong));
        }
        if smoothing > 0.0 && experiment.loss != LossName::CrossEntropy {
            let wrong = "`label_smoothing` is for the loss `cross_entropy` only";
            return Err(source.error_at("label_smoothing", wrong));
        }
        // TOML keeps 63 bits; a larger seed could not be written to config.toml
        if i64::try_from(experiment.seed).is_err() {
            return Err(source.error_at("seed", "`seed` is too large, expected at most 2^63 - 1"));
        }
        let stem = source.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let is_named = experiment.name.is_some();
        let name = experiment.name.clone().or(stem).unwrap_or_else(|| "experiment".into());
        check_folder_name(&name).map_err(|error| {
            let hint = if is_named { "" } else { "; without `name`, it is the file's name" };
            source.error_at("name", format!("{error}{hint}"))
        })?;
        experiment.name = Some(name);
        Ok(experiment)
    }

    /// The settings of `count` consecutive seeds, starting with the experiment's own, as for `--seeds`.
    pub(crate) fn seed_settings(&self, count: u32) -> Result<Vec<Setting>> {
        let setting = |n: u32| {
            let setting: Setting = format!("seed={}", self.seed.saturating_add(n.into())).parse()?;
            Ok(setting.of_option("--seeds"))
        };
        (0..count).map(setting).collect()
    }

    /// Whether each update draws the same batch as in `other`.
    pub(crate) fn has_batches_of(&self, other: &Self) -> bool {
        let batches = |optim: &OptimConfig| {
            (optim.method, optim.batch_size, optim.replacement, optim.drop_last, optim.accumulate)
        };
        self.seed == other.seed && self.data == other.data && batches(&self.optim) == batches(&other.optim)
    }

    /// One experiment that measures everything that either of the two does; `None` if they conflict.
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        if self.training() != other.training() {
            return None;
        }
        let epochs = self.epochs.max(other.epochs);
        let probe = self.probes_within(epochs).join(&other.probes_within(epochs))?;
        Some(Self { epochs, probe, ..self.clone() })
    }

    /// Whether its run contains every row of the run of `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.training() == other.training()
            && self.epochs >= other.epochs
            && self.probe.covers(&other.probes_within(self.epochs))
    }

    /// The part of the experiment that determines θ_t for every t: everything but its probes and its length.
    fn training(&self) -> Self {
        Self {
            name: None,
            epochs: 0,
            claims: vec![],
            reproduce_seeds: None,
            probe: ProbeConfig::default(),
            record: RecordSection::default(),
            checkpoint: CheckpointConfig::default(),
            ..self.clone()
        }
    }

    /// Whether an update and an evaluation take as long as in `other`.
    pub(crate) fn is_as_fast_as(&self, other: &Self) -> bool {
        let relevant = |experiment: &Self| {
            let optim = OptimConfig {
                lr: 0.0,
                momentum: 0.0,
                weight_decay: 0.0,
                schedule: None,
                ..experiment.optim.clone()
            };
            Self { seed: 0, init: InitSection::default(), optim, ..experiment.training() }
        };
        relevant(self) == relevant(other)
    }

    /// Whether it trains like `other`, apart from the size and the number of batches.
    pub(crate) fn is_like_but_for_batches(&self, other: &Self) -> bool {
        let relevant = |experiment: &Self| {
            let OptimConfig { method, batch_size, accumulate, .. } = other.optim;
            let optim = OptimConfig { method, batch_size, accumulate, ..experiment.optim.clone() };
            Self { epochs: 0, seed: 0, optim, ..experiment.training() }
        };
        relevant(self) == relevant(other)
    }

    /// The experiment of a run as it was given, without the defaults of plugin options that config.toml includes.
    pub(crate) fn as_given(folder: &RunFolder) -> Result<Self> {
        let mut experiment: Self = toml::from_str(&folder.read_config()?)
            .with_context(|| folder.config_path().display().to_string())?;
        for name in folder.read_info()?.plugin.default_options {
            experiment.model.options.remove(&name);
        }
        Ok(experiment)
    }

    /// As it is written to config.toml.
    pub(crate) fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("cannot write the experiment")
    }

    /// Its probes in a run that continues to epoch `last` but measures nothing beyond the experiment's own epochs.
    fn probes_within(&self, last: u32) -> ProbeConfig {
        if self.epochs < last { self.probe.clone().within(self.epochs) } else { self.probe.clone() }
    }

    /// SHA-256 of everything that determines its numbers, apart from the network and the contents of files; a resumed run must
    /// have the same. It may train longer, keep other checkpoints and find its files elsewhere.
    pub(crate) fn numbers_sha256(&self) -> Result<String> {
        let fixed = Self {
            name: None,
            epochs: 0,
            claims: vec![],
            reproduce_seeds: None,
            model: ModelSection { plugin: String::new(), options: OptionValues::new() },
            data: DataConfig { dir: None, root: None, ..self.data.clone() },
            record: RecordSection { tensorboard: false, ..self.record.clone() },
            checkpoint: CheckpointConfig::default(),
            init: InitSection::default(),
            ..self.clone()
        };
        Ok(sha256(fixed.to_toml()?))
    }

    /// The files that it names, with their keys; their contents determine its numbers too.
    pub(crate) fn files(&self) -> Vec<(&'static str, &Path)> {
        let line = self.probe.line.as_ref().and_then(|line| line.from.as_deref());
        let from = match &self.init.from {
            Some(InitFrom::File(path)) => Some(path.as_path()),
            _ => None,
        };
        let distance = self.probe.distance.as_ref().and_then(|distance| distance.from.as_deref());
        let files = [("init.from", from), ("probe.line.from", line), ("probe.distance.from", distance)];
        files.into_iter().filter_map(|(key, path)| Some((key, path?))).collect()
    }

    /// The loss that is minimized.
    pub(crate) fn loss(&self) -> Loss {
        match self.loss {
            LossName::CrossEntropy if self.label_smoothing > 0.0 => {
                Loss::SmoothedCrossEntropy { smoothing: self.label_smoothing }
            }
            LossName::CrossEntropy => Loss::CrossEntropy,
            LossName::SquaredError => Loss::SquaredError,
            LossName::Mse => Loss::MeanSquaredError,
        }
    }

    /// The name of its run folder.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("experiment")
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(value: &f32) -> bool {
    value.to_bits() == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::experiment_source::Selection;

    fn parse(text: &[u8]) -> Result<Experiment> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exp.toml");
        std::fs::write(&path, text).unwrap();
        Experiment::parse(&ExperimentSource::read(&path, Selection::default(), &[])?)
    }

    const GOOD: &str = "epochs = 2\n[model]\nplugin = \"mlp\"\n[data]\nset = \"digits\"\n[optim]\nlr = 0.1\n";

    #[test]
    fn what_is_not_given_is_the_papers() {
        let experiment = parse(GOOD.as_bytes()).unwrap();
        assert_eq!((experiment.seed, experiment.name()), (1111, "exp"));
        assert_eq!((experiment.optim.batch_size, experiment.optim.weight_decay), (100, 1e-4));
        // config.toml reads back as the same experiment
        let resolved = toml::to_string(&experiment).unwrap();
        assert_eq!(toml::to_string(&parse(resolved.as_bytes()).unwrap()).unwrap(), resolved);
    }

    #[test]
    fn experiments_that_train_alike_are_joined() {
        let experiment = |epochs: u32, rest: &str| {
            let text = GOOD.replace("epochs = 2", &format!("epochs = {epochs}"));
            parse((text + rest).as_bytes()).unwrap()
        };
        let a = experiment(2, "[probe.noise]\nevaluations = 3\nwhen = { epochs = [2] }\n");
        let b = experiment(5, "[probe.noise]\nevaluations = 3\nwhen = { epochs = [5] }\n[probe.cosine]\n");
        let both = a.join(&b).unwrap();
        let when = "[{ epochs = [2] }, { epochs = [5] }]";
        let expected = format!("[probe.noise]\nevaluations = 3\nwhen = {when}\n[probe.cosine]\n");
        assert_eq!(both, experiment(5, &expected));
        assert_eq!(both.join(&b), Some(both.clone()));
        assert!(both.covers(&a) && both.covers(&b) && !a.covers(&b) && !b.covers(&a));
        // a schedule that names no epochs ends with its own experiment
        let short = experiment(2, "[probe.cosine]\n");
        let joined = short.join(&experiment(3, "")).unwrap();
        assert_eq!(joined, experiment(3, "[probe.cosine]\nwhen = { epochs = [1, 2] }\n"));
        assert!(joined.covers(&short));
        let other_seed = parse(format!("seed = 2\n{GOOD}").as_bytes()).unwrap();
        let measured_otherwise = experiment(2, "[probe.noise]\nevaluations = 4\nwhen = {}\n");
        for other in [other_seed, measured_otherwise] {
            assert!(a.join(&other).is_none() && !a.covers(&other));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_change_of_a_good_file_makes_it_panic(at in 0..GOOD.len(), text in "[ -~\n]{0,6}") {
            let mut changed = GOOD.to_owned();
            changed.replace_range(at..at + 1, &text);
            let _ = parse(changed.as_bytes());
        }
    }
}
