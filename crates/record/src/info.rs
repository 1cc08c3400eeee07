//! `run.json`: what was run, on what, and how it ended.

use serde::{Deserialize, Serialize};

use crate::MetricsMark;

/// The version of the run folder's format that this program writes and reads.
pub const FORMAT: u32 = 4;

/// A run's description.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the folder's format, [`FORMAT`].
    pub format: u32,
    /// The experiment's name.
    pub name: String,
    /// The status of the run.
    pub status: Status,
    /// The error, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Version of sgdwalk.
    pub version: String,
    /// The experiment's seed.
    pub seed: u64,
    /// Where the network ran.
    pub device: String,
    /// Number of threads used; it does not affect results.
    pub threads: usize,
    /// When it started, in seconds since 1970.
    pub started_unix_s: u64,
    /// Elapsed time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_s: Option<f64>,
    /// The cost of each probe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeInfo>,
    /// The run it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<ForkInfo>,
    /// SHA-256 of the experiment without settings that do not affect its numbers, such as `epochs` and file locations: a run is
    /// resumed only if it is the same.
    #[serde(default)]
    pub config_sha256: String,
    /// The files that the experiment names, with digests of their contents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileInfo>,
    /// The rows at the last checkpoint, or at the end of the run.
    #[serde(default)]
    pub metrics: MetricsMark,
    /// The architecture's plugin.
    pub plugin: PluginRecord,
    /// The network it described.
    pub network: NetworkInfo,
    /// The data.
    pub data: DataInfo,
    /// The machine.
    pub machine: MachineInfo,
}

/// The point from which a run was forked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForkInfo {
    /// The other run's folder.
    pub run: String,
    /// Number of updates of that run up to there.
    pub step: u64,
    /// What was changed, as `key=value`.
    pub changes: Vec<String>,
}

/// A file that an experiment names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// The key of the experiment that names it.
    pub key: String,
    /// Its path.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// The cost of a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeInfo {
    /// Its section's name.
    pub name: String,
    /// Number of updates it measured.
    pub measurements: usize,
    /// Time it took in seconds, including bookkeeping at other updates.
    pub elapsed_s: f64,
}

/// The status of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In progress, or killed.
    #[default]
    Running,
    /// Stopped by a signal; `sgdwalk resume` continues it.
    Stopped,
    /// Completed.
    Finished,
    /// Ended by an error.
    Failed,
}

/// The plugin a run used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// Its name.
    pub name: String,
    /// The library.
    pub library: String,
    /// SHA-256 of the library.
    pub sha256: String,
    /// The options that the experiment left out; `config.toml` has their defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_options: Vec<String>,
}

/// The network a run trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// P
    pub n_params: usize,
    /// SHA-256 of its description: equal for equal networks, however the plugin was built.
    pub sha256: String,
    /// Multiply-adds of a forward pass on one sample.
    pub multiply_adds: usize,
    /// Shape of an input.
    pub input: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
}

/// The data a run used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataInfo {
    /// The set's name.
    pub set: String,
    /// SHA-256 of all its pixels and labels.
    pub sha256: String,
    /// Training samples.
    pub train: usize,
    /// Validation samples.
    pub valid: usize,
    /// The classes in the order of their labels, which count from 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassInfo>,
    /// Warnings from reading the data, such as files that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// A class of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassInfo {
    /// Its name.
    pub name: String,
    /// Its training samples.
    pub train: usize,
    /// Its validation samples.
    pub valid: usize,
}

/// The machine a run was made on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineInfo {
    /// Operating system and architecture.
    pub platform: String,
    /// Processor model, if the system reports it.
    pub processor: String,
    /// Cores that the program may use.
    pub cores: usize,
}

impl MachineInfo {
    /// This machine.
    pub fn here() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
        Self {
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: model.unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_reads_back() {
        let info = RunInfo { format: FORMAT, elapsed_s: Some(0.1), ..RunInfo::default() };
        let text = serde_json::to_string(&info).unwrap();
        assert_eq!(serde_json::from_str::<RunInfo>(&text).unwrap(), info);
    }
}
