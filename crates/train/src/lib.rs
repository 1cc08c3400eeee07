//! Trains a network and passes each update to the probes.
//!
//! [`train`] draws a batch, gets loss and gradient from the model, updates θ, and passes each due probe the points
//! before and after. Rows go to a [`Sink`]; nothing flows back.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod batch_norm;
mod checkpoint;
mod error;
mod gradients;
mod import;
mod memory;
mod optim;
mod order;
mod position;
pub mod probe;
mod ranks;
mod samples;
mod schedule;
mod sink;
mod state;
#[cfg(test)]
mod test_support;
mod thresholds;
mod throughput;
mod trainer;
mod update;
mod work;

pub use checkpoint::{
    CheckpointConfig, Place, SavedState, point_tensors, read_state, state_from_bytes, state_tensors,
};
pub use error::TrainError;
pub use import::read_point;
pub use memory::Memory;
pub use optim::{
    Accumulate, AdamSection, LearningRateSchedule, Method, OptimConfig, OptimizerState, Rule, ScheduleKind,
};
pub use position::Position;
pub use ranks::{Ranks, Solo};
pub use schedule::{Conditions, Schedule, Span};
pub use sink::{After, Sink, UPDATE, VALIDATION};
pub use state::TrainState;
pub use thresholds::Thresholds;
pub use throughput::{Throughput, ThroughputConfig, throughput};
pub use trainer::{TrainConfig, train};
pub use update::Update;
pub use work::Work;
