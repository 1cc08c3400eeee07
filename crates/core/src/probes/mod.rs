//! The numerics of the probes, independent of data sets.

pub mod adaptive;
pub mod alignment;
pub mod cosine;
pub mod covariance;
pub mod critical_lr;
pub mod distance;
pub mod interpolation;
mod jacobi;
pub mod lanczos;
pub mod line;
pub mod moments;
pub mod path;
pub mod plane;
pub mod redraws;
