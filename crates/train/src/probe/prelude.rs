//! Imports shared by most probes.

pub(super) use schemars::JsonSchema;
pub(super) use serde::{Deserialize, Serialize};
pub(super) use walk_core::{Evaluator, Point, Seed, Step, Stream, dot};
pub(super) use walk_data::Subset;
pub(super) use walk_record::rows::{self, Kind};
pub(super) use walk_record::{BatchNorm, Values, measured};

pub(super) use super::active::{Probe, Section};
pub(super) use super::context::{PathSection, ProbeContext};
pub(super) use super::mean_loss::{MeanLoss, MeanLossAt};
pub(super) use super::values::{
    AtLeast, ChunkSize, Fraction, GradientChunk, NotNegative, SampleCount, Share, Unused, Within,
    first_samples, statistics, unused_statistics,
};
pub(super) use crate::samples::Fixed;
pub(super) use crate::{Memory, OptimConfig, Schedule, Span, Thresholds, TrainError, Update, Work};
