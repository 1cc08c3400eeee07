//! The run folder and its typed records: everything that a run leaves behind and that reports are made from.
//!
//! A folder contains `config.toml` (the resolved experiment), `run.json` (a [`RunInfo`]), `metrics.jsonl` (one
//! [`Row`] per line, append-only, readable after a kill at any byte),
//! `checkpoints/*.safetensors`, and `tensorboard/` if the experiment requests it. [`Run`] reads all of it back. Each kind of
//! row has a file in [`rows`].

mod checkpoint;
mod error;
mod evaluation;
mod file;
mod folder;
mod info;
mod lock;
mod measured;
mod metrics;
mod metrics_mark;
mod row;
pub mod rows;
mod run;
mod scalar;
mod stamp;
mod tensorboard;

pub use checkpoint::{
    Checkpoint, NamedTensor, OtherTensor, Values, checkpoint_bytes, parse_checkpoint, read_checkpoint,
};
pub use error::RecordError;
pub use evaluation::{BatchNorm, EvaluationData};
pub use file::{create_folder, write_file};
pub use folder::RunFolder;
pub use info::{
    ClassInfo, DataInfo, FORMAT, FileInfo, ForkInfo, MachineInfo, NetworkInfo, PluginRecord, ProbeInfo,
    RunInfo, Status,
};
pub use lock::FolderLock;
pub use measured::{Measured, measured};
pub use metrics::{MetricsWriter, Sealed, read_metrics};
pub use metrics_mark::MetricsMark;
pub use row::{Row, rows_of};
pub use run::{ConfigValue, Run, sourced};
pub use scalar::{Scalar, Scalars};
pub use stamp::{Stamp, Stamped};
pub use tensorboard::EventWriter;
