//! The barrier along a line between two points.

/// The largest value minus the mean of the first and the last (Frankle et al., 2020). Unit: that of the values.
///
/// # Panics
/// If there are no values.
pub fn barrier_height(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top - 0.5 * (values[0] + values[values.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::barrier_height;

    #[test]
    fn a_barrier_is_measured_from_the_mean_of_the_ends() {
        assert_eq!(barrier_height(&[1.0, 4.0, 2.0]), 2.5);
        assert_eq!(barrier_height(&[3.0, 2.0, 1.0]), 1.0);
    }
}
