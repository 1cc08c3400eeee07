//! The probes of the loss surface.

mod adaptive;
mod directions;
mod interpolation;
mod lanczos;
mod sequential;

pub use adaptive::{Adaptive, AdaptiveConfig, Decision, Ended, Estimate};
pub use directions::{Principal, filter_normalized, principal};
pub use interpolation::{Interpolation, InterpolationConfig, SamplesOf, Segment};
pub use lanczos::{Lanczos, LanczosConfig, lanczos};
