//! Curvatures that training cannot exceed for long, derived from the optimizer's hyperparameters.
//!
//! Along an eigenvector of the Hessian H of the mean loss with eigenvalue λ, one update v ← m v + (p λ + w) x, x ← x - η v, for
//! momentum m, weight decay w and p accumulated parts whose gradients are added, has the characteristic equation
//! z² - (1 + m - η (p λ + w)) z + m = 0. Both roots are inside the unit circle if and only if 0 < η (p λ + w) < 2 (1 + m), that
//! is, λ < (2 (1 + m) / η - w) / p. H does not include weight decay, which lowers the threshold instead.

use crate::{Accumulate, Method, OptimConfig};

/// Curvatures that training cannot exceed for long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// (2 (1 + m) / η - w) / p: if the largest eigenvalue of H exceeds it, full-batch gradient descent diverges
    /// on a quadratic (Cohen et al., 2021, arXiv 2103.00065: the edge of stability).
    pub stability: f64,
    /// 2 (1 - m) / η - w: the level at which gᵀH_B g / gᵀg, with the Hessian H_B of the batch's own loss, was observed to settle
    /// at small batch sizes (Andreyev et al., 2026, arXiv 2604.14108); the effective learning rate for noise is η / (1 - m).
    /// None for gradient descent.
    pub small_batch: Option<f64>,
}

impl Thresholds {
    /// The thresholds of training with `samples` samples.
    pub fn new(optim: &OptimConfig, samples: usize) -> Self {
        let OptimConfig { lr, momentum, weight_decay, .. } = *optim;
        let parts = match (optim.method, optim.accumulate) {
            (Method::Gd, Accumulate::Sum) => samples.div_ceil(optim.batch_size) as f64,
            (Method::Gd, Accumulate::Mean) | (Method::Sgd, _) => 1.0,
        };
        let small_batch = (optim.method == Method::Sgd).then(|| 2.0 * (1.0 - momentum) / lr - weight_decay);
        Self { stability: (2.0 * (1.0 + momentum) / lr - weight_decay) / parts, small_batch }
    }
}

#[cfg(test)]
mod tests {
    use walk_core::sgd_step;

    use super::*;

    /// |θ| after updates by `sgd_step` on the loss λ/2 θ², whose p parts each have the gradient λ θ.
    fn size_after(optim: &OptimConfig, parts: usize, curvature: f64, updates: usize) -> f32 {
        let (mut velocity, mut theta) = ([0.0f32], [1.0f32]);
        for _ in 0..updates {
            let part = curvature as f32 * theta[0];
            let grad = match optim.accumulate {
                Accumulate::Mean => part,
                Accumulate::Sum => (0..parts).map(|_| part).sum(),
            };
            let mut next = [0.0];
            sgd_step(optim.step(), &theta, &[grad], &mut velocity, &mut next);
            theta = next;
        }
        // over an oscillation, where θ may pass 0
        theta[0].abs() + velocity[0].abs() * optim.lr as f32
    }

    #[test]
    fn the_optimizer_is_stable_below_the_threshold_and_diverges_above() {
        for momentum in [0.0, 0.5, 0.9] {
            for weight_decay in [0.0, 0.1] {
                for parts in [1, 3] {
                    let optim = OptimConfig {
                        method: Method::Gd,
                        lr: 0.1,
                        batch_size: 20,
                        momentum,
                        weight_decay,
                        accumulate: Accumulate::Sum,
                        ..crate::optim::tests::config()
                    };
                    let threshold = Thresholds::new(&optim, 20 * parts).stability;
                    // at 1% from the threshold the larger root is about 1 -+ 0.01 (1 + m) / (1 - m)
                    let after = |curvature| size_after(&optim, parts, curvature, 2000);
                    let what = format!("m = {momentum}, w = {weight_decay}, p = {parts}");
                    assert!(after(0.99 * threshold) < 1e-3, "{what}: {}", after(0.99 * threshold));
                    let beyond = after(1.01 * threshold);
                    assert!(beyond.is_nan() || beyond >= 1e3, "{what}: {beyond}");
                }
            }
        }
    }

    #[test]
    fn parts_count_only_where_gradients_are_added() {
        let config = OptimConfig { momentum: 0.9, weight_decay: 0.5, ..crate::optim::tests::config() };
        let of = |method, accumulate| {
            let optim = OptimConfig { method, accumulate, batch_size: 20, ..config.clone() };
            Thresholds::new(&optim, 50)
        };
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        close(of(Method::Gd, Accumulate::Mean).stability, 37.5);
        close(of(Method::Gd, Accumulate::Sum).stability, 12.5);
        close(of(Method::Sgd, Accumulate::Sum).stability, 37.5);
        close(of(Method::Sgd, Accumulate::Mean).small_batch.unwrap(), 1.5);
        assert_eq!(of(Method::Gd, Accumulate::Mean).small_batch, None);
    }
}
