//! The probes of the loss surface.

mod adaptive;
mod interpolation;
mod sequential;

pub use adaptive::{Adaptive, AdaptiveConfig, Decision, Ended, Estimate};
pub use interpolation::{Interpolation, InterpolationConfig, SamplesOf, Segment};
