//! Per-sample losses of a row of outputs, in f64, and their gradients.

/// The loss of one sample as a function of the network's outputs z and its label y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// log Σ exp(z) - z_y.
    CrossEntropy,
    /// ½ ‖z - onehot(y)‖².
    SquaredError,
}

impl Loss {
    /// The loss. Computed in f64, so that a confident sample's loss of 1e-12 is not rounded to 0.
    ///
    /// # Panics
    /// If `label` is not an index of `outputs`.
    pub fn value(self, outputs: &[f32], label: usize) -> f64 {
        match self {
            Self::CrossEntropy => {
                let top = maximum(outputs);
                let own = f64::from(outputs[label]);
                // log(1 + x) of what the others add, so that nothing small is lost beside 1
                let top_index = outputs.iter().position(|&z| f64::from(z) >= top).unwrap_or(label);
                let others = outputs.iter().enumerate().filter(|&(index, _)| index != top_index);
                let sum: f64 = others.map(|(_, &z)| (f64::from(z) - top).exp()).sum();
                sum.ln_1p() + (top - own)
            }
            Self::SquaredError => {
                let residual =
                    |(class, &z): (usize, &f32)| f64::from(z) - f64::from(u8::from(class == label));
                0.5 * outputs.iter().enumerate().map(residual).map(|r| r * r).sum::<f64>()
            }
        }
    }

    /// `gradient` += `weight` ∂loss/∂z: softmax(z) - onehot(y), or z - onehot(y).
    ///
    /// # Panics
    /// If the lengths differ or `label` is not an index.
    pub fn backward(self, outputs: &[f32], label: usize, weight: f32, gradient: &mut [f32]) {
        assert_eq!(outputs.len(), gradient.len());
        match self {
            Self::CrossEntropy => {
                let top = maximum(outputs);
                let sum: f64 = outputs.iter().map(|&z| (f64::from(z) - top).exp()).sum();
                for (g, &z) in gradient.iter_mut().zip(outputs) {
                    *g += weight * ((f64::from(z) - top).exp() / sum) as f32;
                }
            }
            Self::SquaredError => {
                for (g, &z) in gradient.iter_mut().zip(outputs) {
                    *g += weight * z;
                }
            }
        }
        gradient[label] -= weight;
    }
}

/// The largest output; NaN if any is NaN.
fn maximum(outputs: &[f32]) -> f64 {
    outputs.iter().fold(f64::NEG_INFINITY, |top, &z| {
        let z = f64::from(z);
        if z > top || z.is_nan() { z } else { top }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{differences, noise, norm_error, wide};

    #[test]
    fn cross_entropy_keeps_tiny_losses_and_huge_outputs() {
        let tiny = Loss::CrossEntropy.value(&[40.0, 0.0, 0.0], 0);
        assert!((tiny - 2.0 * (-40f64).exp()).abs() < 1e-30);
        assert!((Loss::CrossEntropy.value(&[1e30, 0.0], 1) - f64::from(1e30f32)).abs() < 1e20);
        assert!(Loss::CrossEntropy.value(&[f32::NAN, 0.0], 1).is_nan());
        assert!((Loss::CrossEntropy.value(&[2.0, 2.0], 0) - 2f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let z = noise(1, 7);
        for loss in [Loss::CrossEntropy, Loss::SquaredError] {
            let value = |z: &[f64]| match loss {
                Loss::CrossEntropy => z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[3],
                Loss::SquaredError => {
                    0.5 * z
                        .iter()
                        .enumerate()
                        .map(|(i, z)| (z - f64::from(u8::from(i == 3))).powi(2))
                        .sum::<f64>()
                }
            };
            assert!((loss.value(&z, 3) - value(&wide(&z))).abs() < 1e-12);
            let mut gradient = vec![0.0; 7];
            loss.backward(&z, 3, 1.0, &mut gradient);
            assert!(norm_error(&gradient, &differences(&wide(&z), value)) < 5e-7); // f32 rounding
        }
    }
}
