//! Curvatures that training cannot exceed for long, derived from the optimizer's hyperparameters.
//!
//! Along an eigenvector of the Hessian H of the mean loss with eigenvalue λ, with weight decay w and p accumulated parts whose
//! gradients are added, let h = p λ + w. Both roots of the characteristic equation of an update must be inside the unit circle.
//!
//! - Momentum m: v ← m v + h x, x ← x - η v has z² - (1 + m - η h) z + m = 0, so 0 < η h < 2 (1 + m).
//! - Nesterov's momentum: v ← m v + h x, x ← x - η (h x + m v) has z² - (1 + m - η h (1 + m)) z + m (1 - η h) = 0, so
//!   0 < η h < 2 (1 + m) / (1 + 2 m).
//! - Adam with its preconditioner P frozen: with λ now that of P^-1/2 (p H + w I) P^-1/2, or without w for AdamW, which multiplies
//!   θ by d = 1 - η w instead, m ← β m + (1 - β) λ x, x ← d x - η m has z² - (d + β - η (1 - β) λ) z + β d = 0, so
//!   η (1 - β) λ < (1 + β) (1 + d).
//!
//! H does not include weight decay, which lowers the threshold instead.

use crate::{Accumulate, Method, OptimConfig, Rule};

/// Curvatures that training cannot exceed for long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// If the largest eigenvalue exceeds it, full-batch training diverges on a quadratic (Cohen et al., 2021, arXiv 2103.00065: the
    /// edge of stability): (2 (1 + m) / η - w) / p, with Nesterov's momentum (2 (1 + m) / ((1 + 2 m) η) - w) / p. `None` for
    /// the eigenvalues of H if the rule is Adam, which limits those of the preconditioned H.
    pub stability: Option<f64>,
    /// 2 (1 - m) / η - w: the level at which gᵀH_B g / gᵀg, with the Hessian H_B of the batch's own loss, was observed to settle
    /// at small batch sizes (Andreyev et al., 2026, arXiv 2604.14108); the effective learning rate for noise is η / (1 - m).
    /// None for gradient descent, Nesterov's momentum and Adam.
    pub small_batch: Option<f64>,
}

impl Thresholds {
    /// No thresholds.
    pub const NONE: Self = Self { stability: None, small_batch: None };

    /// The thresholds of the eigenvalues of H, for training on `samples` samples with learning rate `lr`.
    pub fn of_hessian(optim: &OptimConfig, samples: usize, lr: f64) -> Self {
        let OptimConfig { rule, momentum, nesterov, weight_decay, .. } = *optim;
        if rule != Rule::Sgd {
            return Self::NONE;
        }
        let ahead = if nesterov { 1.0 + 2.0 * momentum } else { 1.0 };
        let stability = (2.0 * (1.0 + momentum) / (ahead * lr) - weight_decay) / parts(optim, samples);
        let settles = optim.method == Method::Sgd && !nesterov;
        let small_batch = settles.then(|| 2.0 * (1.0 - momentum) / lr - weight_decay);
        Self { stability: Some(stability), small_batch }
    }

    /// The threshold of the eigenvalues of P^-1/2 (p H + w I) P^-1/2, without w for AdamW, for the preconditioner P of Adam:
    /// (1 + β₁) (1 + d) / ((1 - β₁) η) with d = 1 - η w for AdamW and 1 for Adam (Cohen et al., 2022, arXiv 2207.14484).
    pub fn of_preconditioned(optim: &OptimConfig, lr: f64) -> Self {
        let beta = optim.adam_constants().beta1;
        let kept = if optim.rule == Rule::Adamw { 1.0 - lr * optim.weight_decay } else { 1.0 };
        let stability = (1.0 + beta) * (1.0 + kept) / ((1.0 - beta) * lr);
        Self { stability: Some(stability), small_batch: None }
    }
}

/// p: the number of parts whose gradients are added, 1 if their mean is taken.
pub(crate) fn parts(optim: &OptimConfig, samples: usize) -> f64 {
    match (optim.method, optim.accumulate) {
        (Method::Gd, Accumulate::Sum) => samples.div_ceil(optim.batch_size) as f64,
        (Method::Gd, Accumulate::Mean) | (Method::Sgd, _) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerState;
    use crate::optim::tests::config;

    /// |θ| after updates on the loss λ/2 θ², whose p parts each have the gradient λ θ.
    fn size_after(optim: &OptimConfig, parts: usize, curvature: f64, updates: usize) -> f32 {
        let (mut state, mut theta, mut before) = (OptimizerState::default(), [1.0f32], [0.0]);
        state.prepare(optim.rule, 1);
        for _ in 0..updates {
            let part = curvature as f32 * theta[0];
            let grad = match optim.accumulate {
                Accumulate::Mean => part,
                Accumulate::Sum => (0..parts).map(|_| part).sum(),
            };
            before = theta;
            let mut next = [0.0];
            state.update(optim, optim.lr, &theta, &[grad], &mut next);
            theta = next;
        }
        // over an oscillation, where θ may pass 0
        theta[0].abs() + (theta[0] - before[0]).abs()
    }

    fn is_stable_up_to(threshold: f64, what: &str, after: impl Fn(f64) -> f32) {
        // at 1% from the threshold the larger root is about 1 -+ 0.01 (1 + m) / (1 - m)
        assert!(after(0.99 * threshold) < 1e-3, "{what}: {}", after(0.99 * threshold));
        let beyond = after(1.01 * threshold);
        assert!(beyond.is_nan() || beyond >= 1e3, "{what}: {beyond}");
    }

    #[test]
    fn the_optimizer_is_stable_below_the_threshold_and_diverges_above() {
        for (momentum, nesterov) in [(0.0, false), (0.5, false), (0.9, false), (0.5, true), (0.9, true)] {
            for weight_decay in [0.0, 0.1] {
                for parts in [1, 3] {
                    let optim = OptimConfig {
                        method: Method::Gd,
                        lr: 0.1,
                        batch_size: 20,
                        momentum,
                        nesterov,
                        weight_decay,
                        accumulate: Accumulate::Sum,
                        ..config()
                    };
                    let threshold = Thresholds::of_hessian(&optim, 20 * parts, optim.lr).stability.unwrap();
                    let what =
                        format!("m = {momentum}, nesterov = {nesterov}, w = {weight_decay}, p = {parts}");
                    is_stable_up_to(threshold, &what, |curvature| size_after(&optim, parts, curvature, 3000));
                }
            }
        }
    }

    /// Adam whose preconditioner does not change: β₂ = 1 up to rounding would freeze v, so its update is written out here with
    /// P = 1 in place of √v̂ + ε.
    #[test]
    fn adam_with_a_frozen_preconditioner_is_stable_below_its_threshold_and_diverges_above() {
        for rule in [Rule::Adam, Rule::Adamw] {
            for weight_decay in [0.0, 0.5] {
                let optim = OptimConfig { rule, lr: 0.1, weight_decay, ..config() };
                let after = |curvature: f64| {
                    let (beta, lr) = (optim.adam_constants().beta1, optim.lr);
                    let [mut x, mut m, mut before] = [1.0f64, 0.0, 0.0];
                    for _ in 0..3000 {
                        before = x;
                        // the curvature is that of H + w I for Adam
                        m = beta * m + (1.0 - beta) * curvature * x;
                        let kept = if rule == Rule::Adamw { 1.0 - lr * weight_decay } else { 1.0 };
                        x = kept * x - lr * m;
                    }
                    (x.abs() + (x - before).abs()) as f32
                };
                let threshold = Thresholds::of_preconditioned(&optim, optim.lr).stability.unwrap();
                is_stable_up_to(threshold, &format!("{rule:?}, w = {weight_decay}"), after);
            }
        }
        let optim = OptimConfig { rule: Rule::Adam, ..config() };
        assert!((Thresholds::of_preconditioned(&optim, 0.1).stability.unwrap() - 380.0).abs() < 1e-9);
        assert_eq!(Thresholds::of_hessian(&optim, 10, 0.1), Thresholds::NONE);
    }

    #[test]
    fn parts_count_only_where_gradients_are_added() {
        let config = OptimConfig { momentum: 0.9, weight_decay: 0.5, ..config() };
        let of = |method, accumulate| {
            let optim = OptimConfig { method, accumulate, batch_size: 20, ..config.clone() };
            Thresholds::of_hessian(&optim, 50, optim.lr)
        };
        let close = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-9, "{found:?} {expected}");
        };
        close(of(Method::Gd, Accumulate::Mean).stability, 37.5);
        close(of(Method::Gd, Accumulate::Sum).stability, 12.5);
        close(of(Method::Sgd, Accumulate::Sum).stability, 37.5);
        close(of(Method::Sgd, Accumulate::Mean).small_batch, 1.5);
        assert_eq!(of(Method::Gd, Accumulate::Mean).small_batch, None);
    }
}
