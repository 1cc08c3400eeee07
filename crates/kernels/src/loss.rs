//! Per-sample losses of a row of outputs, in f64, and their gradients.

/// The loss of one sample as a function of the network's outputs z and its label y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// log Σ exp(z) - z_y.
    CrossEntropy,
    /// log Σ exp(z) - (1 - ε) z_y - ε mean(z): cross-entropy with label smoothing (Szegedy et al., 2016).
    SmoothedCrossEntropy {
        /// ε
        smoothing: f32,
    },
    /// ½ ‖z - onehot(y)‖².
    SquaredError,
    /// ‖z - onehot(y)‖² / K for K classes: PyTorch's `mse_loss`.
    MeanSquaredError,
}

impl Loss {
    /// The loss. Computed in f64, so that a confident sample's loss of 1e-12 is not rounded to 0.
    ///
    /// # Panics
    /// If `label` is not an index of `outputs`.
    pub fn value(self, outputs: &[f32], label: usize) -> f64 {
        match self {
            Self::SmoothedCrossEntropy { smoothing } => {
                let mean = outputs.iter().map(|&z| f64::from(z)).sum::<f64>() / outputs.len() as f64;
                let apart = f64::from(outputs[label]) - mean;
                Self::CrossEntropy.value(outputs, label) + f64::from(smoothing) * apart
            }
            Self::MeanSquaredError => {
                Self::SquaredError.value(outputs, label) * f64::from(mean_factor(outputs))
            }
            Self::CrossEntropy => {
                let top = maximum(outputs);
                let own = f64::from(outputs[label]);
                // log(1 + x) with x the sum over the others, so that a small x is not rounded away
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

    /// `gradient` += `weight` ∂loss/∂z: softmax(z) - t with t the (smoothed) target, z - onehot(y), or 2/K times that.
    ///
    /// # Panics
    /// If the lengths differ or `label` is not an index.
    pub fn backward(self, outputs: &[f32], label: usize, weight: f32, gradient: &mut [f32]) {
        assert_eq!(outputs.len(), gradient.len());
        match self {
            Self::SmoothedCrossEntropy { smoothing } => {
                Self::CrossEntropy.backward(outputs, label, weight, gradient);
                let part = weight * smoothing / outputs.len() as f32;
                gradient.iter_mut().for_each(|g| *g -= part);
                gradient[label] += weight * smoothing;
                return;
            }
            Self::MeanSquaredError => {
                return Self::SquaredError.backward(outputs, label, weight * mean_factor(outputs), gradient);
            }
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

impl Loss {
    /// ∇ℓ(z)·ż, the loss's directional derivative.
    ///
    /// # Panics
    /// If the lengths differ or `label` is not an index.
    pub fn tangent(self, outputs: &[f32], label: usize, dot_outputs: &[f32]) -> f64 {
        let mut gradient = vec![0.0; outputs.len()];
        self.backward(outputs, label, 1.0, &mut gradient);
        gradient.iter().zip(dot_outputs).map(|(&g, &d)| f64::from(g) * f64::from(d)).sum()
    }

    /// `gradient` += `weight` ∇²ℓ(z) ż: s ⊙ ż - s (s·ż) with s = softmax(z), or ż.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn hessian_product(self, outputs: &[f32], dot_outputs: &[f32], weight: f32, gradient: &mut [f32]) {
        assert!(outputs.len() == gradient.len() && outputs.len() == dot_outputs.len());
        match self {
            Self::MeanSquaredError => {
                let weight = weight * mean_factor(outputs);
                Self::SquaredError.hessian_product(outputs, dot_outputs, weight, gradient);
            }
            Self::CrossEntropy | Self::SmoothedCrossEntropy { .. } => {
                let top = maximum(outputs);
                let sum: f64 = outputs.iter().map(|&z| (f64::from(z) - top).exp()).sum();
                let softmax = |z: f32| (f64::from(z) - top).exp() / sum;
                let mean: f64 =
                    outputs.iter().zip(dot_outputs).map(|(&z, &d)| softmax(z) * f64::from(d)).sum();
                for ((g, &z), &d) in gradient.iter_mut().zip(outputs).zip(dot_outputs) {
                    *g += weight * (softmax(z) * (f64::from(d) - mean)) as f32;
                }
            }
            Self::SquaredError => {
                for (g, &d) in gradient.iter_mut().zip(dot_outputs) {
                    *g += weight * d;
                }
            }
        }
    }
}

/// 2/K, by which the mean squared error is larger than half of the squared one.
fn mean_factor(outputs: &[f32]) -> f32 {
    2.0 / outputs.len() as f32
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
        let smoothing = 0.25;
        for loss in [
            Loss::CrossEntropy,
            Loss::SmoothedCrossEntropy { smoothing },
            Loss::SquaredError,
            Loss::MeanSquaredError,
        ] {
            let value = |z: &[f64]| {
                let log_sum = z.iter().map(|z| z.exp()).sum::<f64>().ln();
                let square =
                    z.iter().enumerate().map(|(i, z)| (z - f64::from(u8::from(i == 3))).powi(2)).sum::<f64>();
                match loss {
                    Loss::CrossEntropy => log_sum - z[3],
                    Loss::SmoothedCrossEntropy { .. } => {
                        log_sum - 0.75 * z[3] - 0.25 * z.iter().sum::<f64>() / 7.0
                    }
                    Loss::SquaredError => 0.5 * square,
                    Loss::MeanSquaredError => square / 7.0,
                }
            };
            assert!((loss.value(&z, 3) - value(&wide(&z))).abs() < 2e-8); // 2/7 in f32
            let mut gradient = vec![0.0; 7];
            loss.backward(&z, 3, 1.0, &mut gradient);
            assert!(norm_error(&gradient, &differences(&wide(&z), value)) < 5e-7); // f32 rounding
            let dot = noise(2, 7);
            let slope: f64 = wide(&gradient).iter().zip(wide(&dot)).map(|(g, d)| g * d).sum();
            assert!((loss.tangent(&z, 3, &dot) - slope).abs() < 1e-12);
            let mut product = vec![0.0; 7];
            loss.hessian_product(&z, &dot, 1.0, &mut product);
            // the gradient, in f64, along the direction: a fourth-order difference, good to about 1e-12
            let at = |h: f64| -> Vec<f64> {
                let z: Vec<f64> =
                    z.iter().zip(&dot).map(|(&z, &d)| f64::from(z) + h * f64::from(d)).collect();
                let sum: f64 = z.iter().map(|z| z.exp()).sum();
                let gradient = |z: &f64| match loss {
                    Loss::CrossEntropy | Loss::SmoothedCrossEntropy { .. } => z.exp() / sum,
                    Loss::SquaredError => *z,
                    Loss::MeanSquaredError => z * 2.0 / 7.0,
                };
                z.iter().map(gradient).collect()
            };
            let h = 1e-3;
            let (a, b, c, d) = (at(-2.0 * h), at(-h), at(h), at(2.0 * h));
            let expected: Vec<f64> =
                (0..7).map(|i| (a[i] - 8.0 * b[i] + 8.0 * c[i] - d[i]) / (12.0 * h)).collect();
            assert!(norm_error(&product, &expected) < 5e-7); // f32 rounding
        }
    }
}
