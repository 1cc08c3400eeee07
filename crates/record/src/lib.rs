//! The run folder and its typed records: what a run leaves behind, and all that a report is made from.
//!
//! A folder holds `config.toml` (the experiment, resolved), `run.json` (a [`RunInfo`]), `metrics.jsonl` (one
//! [`Row`] per line, append-only, readable after a kill at any byte),
//! `checkpoints/*.safetensors`, and `tensorboard/` where that is wanted.

mod checkpoint;
mod error;
mod folder;
mod info;
mod lock;
mod metrics;
mod row;
mod tensorboard;

pub use checkpoint::{NamedTensor, Values, checkpoint_bytes, parse_checkpoint, read_checkpoint};
pub use error::RecordError;
pub use folder::{RunFolder, write_file};
pub use info::{DataInfo, ForkInfo, MachineInfo, NetworkInfo, PluginRecord, ProbeInfo, RunInfo, Status};
pub use lock::FolderLock;
pub use metrics::{MetricsWriter, read_metrics};
pub use row::{
    AlignmentRow, CosineRow, CovarianceRow, Density, DistanceRow, EpochRow, InterpolationRow, LineRow,
    NoiseRow, OrderRow, PlaneRow, Rounding, Row, SpectrumRow, TrainRow, VarianceCheck,
};
pub use tensorboard::EventWriter;
