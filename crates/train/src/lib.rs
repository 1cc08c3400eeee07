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
mod samples;
mod schedule;
mod throughput;
mod trainer;

pub use checkpoint::{point_tensors, read_point};
pub use error::TrainError;
pub use optim::{Accumulate, Method, OptimConfig};
pub use probe::{
    ActiveProbe, AlignmentSection, Context, CosineSection, CovarianceSection, Directions, DistanceSection,
    EvaluationData, HessianOf, InterpolationSection, LineSection, Mode, NoiseSection, PlaneSection,
    ProbeConfig, SpectrumSection,
};
pub use schedule::Schedule;
pub use throughput::{Throughput, ThroughputConfig, throughput};
pub use trainer::{Position, Sink, TrainConfig, TrainState, Update, train};
