//! The probes of the loss surface.

mod interpolation;

pub use interpolation::{Interpolation, InterpolationConfig, SamplesOf, Segment};
