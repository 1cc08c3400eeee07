//! The angle between two gradients.

use walk_kernels::elementwise::dot;

/// a·b / (‖a‖ ‖b‖) of two vectors of equal length (paper, Eq. 5), summed in f64; `None` if a norm is 0.
pub fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    (norms > 0.0).then(|| (dot(a, b) / norms).clamp(-1.0, 1.0))
}

/// The cosine of the angle between the displacements a - start and b - start.
pub fn cosine_of_displacements(start: &[f32], a: &[f32], b: &[f32]) -> Option<f64> {
    let from_start =
        |end: &[f32]| -> Vec<f32> { end.iter().zip(start).map(|(end, start)| end - start).collect() };
    cosine(&from_start(a), &from_start(b))
}

#[cfg(test)]
mod tests {
    use super::cosine;

    #[test]
    fn angles_are_those_of_geometry() {
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
        assert!(close(cosine(&[1.0, 0.0], &[0.0, 2.0]), 0.0));
        assert!(close(cosine(&[3.0, 4.0], &[-6.0, -8.0]), -1.0));
        assert!(close(cosine(&[1.0, 1.0], &[5.0, 0.0]), 0.5f64.sqrt()));
        assert_eq!(cosine(&[0.0], &[1.0]), None);
    }
}
