//! The distance between two points.

/// ‖a - b‖² of two vectors of equal length, summed in f64 from left to right.
pub fn distance_sq(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}
