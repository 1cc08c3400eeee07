//! The experiment file as a whole; each section belongs to the crate that it configures.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};
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
    #[serde(deserialize_with = "at_least_one")]
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

impl RecordSection {
    /// What either of the two records.
    fn join(&self, other: &Self) -> Self {
        Self { order: self.order || other.order, tensorboard: self.tensorboard || other.tensorboard }
    }
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

    /// One experiment that measures, records and keeps everything that either of the two does; `None` if they conflict.
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        if self.training() != other.training() {
            return None;
        }
        let epochs = self.epochs.max(other.epochs);
        let probe = self.probes_within(epochs).join(&other.probes_within(epochs))?;
        let (record, checkpoint) = (self.record.join(&other.record), self.checkpoint.join(&other.checkpoint));
        Some(Self { epochs, probe, record, checkpoint, ..self.clone() })
    }

    /// Whether its run contains every row and every checkpoint kept of the run of `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.training() == other.training()
            && self.epochs >= other.epochs
            && self.probe.covers(&other.probes_within(self.epochs))
            && self.record.join(&other.record) == self.record
            && self.checkpoint.join(&other.checkpoint) == self.checkpoint
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
    /// have the same. It may train longer, keep other checkpoints and find its data and `init.from` elsewhere.
    pub(crate) fn numbers_sha256(&self) -> Result<String> {
        // one list of keys serves both: what may change is left out of the form in which a run writes it
        Self::written_numbers_sha256(Table::try_from(self).context("cannot write the experiment")?)
    }

    /// The same of an experiment as its run wrote it to config.toml. Unlike [`Experiment::numbers_sha256`], it does not depend on
    /// keys that this version of the program has added or removed.
    pub(crate) fn written_numbers_sha256(mut config: Table) -> Result<String> {
        for key in ["name", "claims", "reproduce_seeds"] {
            config.remove(key);
        }
        let empty = Value::Table(Table::new());
        let checkpoint = Value::try_from(CheckpointConfig::default())?;
        let fixed = [
            ("", "epochs", Value::Integer(0)),
            ("model", "plugin", Value::String(String::new())),
            ("model", "options", empty.clone()),
            ("record", "tensorboard", Value::Boolean(false)),
            ("", "checkpoint", checkpoint),
            ("", "init", empty),
        ];
        for (section, key, value) in fixed {
            let table = match section {
                "" => Some(&mut config),
                _ => config.get_mut(section).and_then(Value::as_table_mut),
            };
            table.and_then(|table| table.get_mut(key)).into_iter().for_each(|known| *known = value.clone());
        }
        if let Some(data) = config.get_mut("data").and_then(Value::as_table_mut) {
            ["dir", "root"].into_iter().for_each(|key| drop(data.remove(key)));
        }
        Ok(sha256(toml::to_string(&config).context("cannot write the experiment")?))
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

/// A number that is not 0.
fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(NonZeroU32::deserialize(deserializer)?.get())
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
    fn what_determines_the_numbers_is_the_same_in_the_file_that_a_run_writes() {
        let more = "batch_size = 7\n[optim.schedule]\nkind = \"step\"\nmilestones = [1]\n[probe.noise]\nevaluations = 3\n\
                    when = [{ epochs = [2] }, { every = 3 }]\n[record]\ntensorboard = true\n[checkpoint]\nlast = 5\n[init]\n\
                    from = \"a\"\n";
        let options = "plugin = \"mlp\"\noptions = { widths = [3] }";
        let text =
            GOOD.replace("plugin = \"mlp\"", options).replace("\"digits\"", "\"folder\"\ndir = \"b\"") + more;
        for text in [GOOD.to_owned(), text] {
            let experiment = parse(text.as_bytes()).unwrap();
            let written: Table = toml::from_str(&experiment.to_toml().unwrap()).unwrap();
            let sha256 = experiment.numbers_sha256().unwrap();
            assert_eq!(Experiment::written_numbers_sha256(written.clone()).unwrap(), sha256, "{text}");
            let longer = Experiment { epochs: 9, name: Some("longer".into()), ..experiment.clone() };
            assert_eq!(longer.numbers_sha256().unwrap(), sha256);
            let other = Experiment { seed: 5, ..experiment };
            let written: Table = toml::from_str(&other.to_toml().unwrap()).unwrap();
            assert_ne!(Experiment::written_numbers_sha256(written).unwrap(), sha256);
        }
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
        // what one of them records and keeps is recorded and kept
        let kept = experiment(2, "[record]\norder = true\n[checkpoint]\nepochs = [1]\n");
        let joined = experiment(3, "[checkpoint]\nepochs = [3]\n").join(&kept).unwrap();
        assert_eq!(joined, experiment(3, "[record]\norder = true\n[checkpoint]\nepochs = [1, 3]\n"));
        assert!(joined.covers(&kept) && !experiment(3, "").covers(&kept));
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
