//! Trains a network and lets probes look at every update.
//!
//! [`train`] draws a batch, gets loss and gradient from the model, moves θ, and hands each due probe the points
//! before and after. Rows go to a [`Sink`]; nothing flows back.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod checkpoint;
mod error;
mod optim;
mod order;
mod probe;
mod ranks;
mod samples;
mod schedule;
mod throughput;
mod trainer;

pub use checkpoint::{
    CheckpointConfig, SavedState, point_tensors, read_point, read_state, state_from_bytes, state_tensors,
};
pub use error::TrainError;
pub use optim::{Accumulate, Method, OptimConfig};
pub use probe::{
    ActiveProbe, AlignmentSection, Context, CosineSection, CovarianceSection, Directions, DistanceSection,
    EvaluationData, HessianOf, InterpolationSection, LineSection, Memory, Mode, NoiseSection, PlaneSection,
    ProbeConfig, SpectrumSection, Work,
};
pub use ranks::{Ranks, Solo};
pub use schedule::{Conditions, Schedule};
pub use throughput::{Throughput, ThroughputConfig, throughput};
pub use trainer::{After, Position, Sink, TrainConfig, TrainState, Update, train};
