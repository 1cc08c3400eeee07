//! One update of the parameters by the rules of PyTorch's optimizers.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::elementwise::TASK;

/// The constants of one step of SGD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// η
    pub lr: f32,
    /// m
    pub momentum: f32,
    /// λ
    pub weight_decay: f32,
    /// Whether the step looks ahead along the velocity (Nesterov, 1983, in the form of Sutskever et al., 2013).
    pub nesterov: bool,
}

/// v ← m v + g + λ θ, out = θ - η v, or with Nesterov's momentum θ - η (g + λ θ + m v), as in PyTorch's `SGD`; without momentum,
/// `velocity` is unchanged.
///
/// # Panics
/// If the lengths differ.
pub fn sgd_step(step: SgdStep, params: &[f32], grad: &[f32], velocity: &mut [f32], out: &mut [f32]) {
    let n = params.len();
    assert!(grad.len() == n && velocity.len() == n && out.len() == n);
    let tasks = out.par_chunks_mut(TASK).zip(velocity.par_chunks_mut(TASK));
    let tasks = tasks.zip(params.par_chunks(TASK)).zip(grad.par_chunks(TASK));
    tasks.for_each(|(((out, velocity), params), grad)| sgd_task(step, params, grad, velocity, out));
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn sgd_task(step: SgdStep, params: &[f32], grad: &[f32], velocity: &mut [f32], out: &mut [f32]) {
    if step.momentum <= 0.0 {
        // plain SGD needs no velocity: two fifths less to read and write
        for ((out, &param), &grad) in out.iter_mut().zip(params).zip(grad) {
            *out = param - step.lr * (grad + step.weight_decay * param);
        }
        return;
    }
    for (((out, v), &param), &grad) in out.iter_mut().zip(velocity).zip(params).zip(grad) {
        let slope = grad + step.weight_decay * param;
        *v = step.momentum * *v + slope;
        let direction = if step.nesterov { slope + step.momentum * *v } else { *v };
        *out = param - step.lr * direction;
    }
}

/// The constants of one step of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// η
    pub lr: f32,
    /// β₁, the decay of the mean of the gradients.
    pub beta1: f64,
    /// β₂, the decay of the mean of their squares.
    pub beta2: f64,
    /// ε
    pub epsilon: f32,
    /// λ
    pub weight_decay: f32,
    /// Whether λ shrinks θ directly (AdamW, Loshchilov and Hutter, 2019) instead of being part of the gradient.
    pub decoupled: bool,
    /// t: number of this update, from 1.
    pub update: u64,
}

/// The running means of Adam, which start at 0.
#[derive(Debug)]
pub struct AdamMoments<'a> {
    /// m, the mean of the gradients.
    pub first: &'a mut [f32],
    /// v, the mean of their squares.
    pub second: &'a mut [f32],
}

/// m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g², out = θ - η m̂ / (√v̂ + ε) with m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ), as in
/// PyTorch's `Adam` (Kingma and Ba, 2015), for g with λ θ added; with decoupled decay, g is the gradient alone and θ is first
/// multiplied by 1 - η λ, as in its `AdamW`.
///
/// # Panics
/// If the lengths differ.
pub fn adam_step(step: AdamStep, params: &[f32], grad: &[f32], moments: AdamMoments<'_>, out: &mut [f32]) {
    let n = params.len();
    let AdamMoments { first, second } = moments;
    assert!(grad.len() == n && first.len() == n && second.len() == n && out.len() == n);
    let tasks = out.par_chunks_mut(TASK).zip(first.par_chunks_mut(TASK)).zip(second.par_chunks_mut(TASK));
    let tasks = tasks.zip(params.par_chunks(TASK)).zip(grad.par_chunks(TASK));
    let factors = AdamFactors::new(step);
    tasks.for_each(|((((out, first), second), params), grad)| {
        adam_task(factors, params, grad, first, second, out);
    });
}

/// The factors of one step of Adam; bias corrections are rounded once, from f64.
#[derive(Clone, Copy)]
struct AdamFactors {
    step: AdamStep,
    /// η / (1 - β₁ᵗ)
    rate: f32,
    /// √(1 - β₂ᵗ)
    root: f32,
    /// What θ is multiplied by.
    kept: f32,
    /// What is added to the gradient, as a multiple of θ.
    decay: f32,
}

impl AdamFactors {
    fn new(step: AdamStep) -> Self {
        let AdamStep { lr, weight_decay, decoupled, update, .. } = step;
        let (kept, decay) = if decoupled { (1.0 - lr * weight_decay, 0.0) } else { (1.0, weight_decay) };
        let rate = (f64::from(lr) / weight_sum(step.beta1, update)) as f32;
        Self { step, rate, root: weight_sum(step.beta2, update).sqrt() as f32, kept, decay }
    }
}

/// 1 - βᵗ: the sum of the weights of t values in a running mean that starts at 0.
pub fn weight_sum(beta: f64, updates: u64) -> f64 {
    1.0 - beta.powf(updates as f64)
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn adam_task(
    factors: AdamFactors,
    params: &[f32],
    grad: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    out: &mut [f32],
) {
    let AdamFactors { step: AdamStep { beta1, beta2, epsilon, .. }, rate, root, kept, decay } = factors;
    let [old1, old2] = [beta1 as f32, beta2 as f32];
    let [new1, new2] = [(1.0 - beta1) as f32, (1.0 - beta2) as f32];
    let places = out.iter_mut().zip(first).zip(second).zip(params).zip(grad);
    for ((((out, m), v), &param), &grad) in places {
        let slope = grad + decay * param;
        *m = old1 * *m + new1 * slope;
        *v = old2 * *v + new2 * slope * slope;
        *out = kept * param - rate * *m / (v.sqrt() / root + epsilon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SGD: SgdStep = SgdStep { lr: 0.5, momentum: 0.5, weight_decay: 0.25, nesterov: false };

    #[test]
    fn sgd_follows_pytorchs_formula() {
        let (mut velocity, mut out) = ([4.0], [0.0]);
        sgd_step(SGD, &[8.0], &[1.0], &mut velocity, &mut out);
        assert_eq!((velocity, out), ([5.0], [5.5]));
        sgd_step(SgdStep { momentum: 0.0, ..SGD }, &[8.0], &[1.0], &mut velocity, &mut out);
        assert_eq!((velocity, out), ([5.0], [6.5]));
        // g + m v = 3 + 0.5 * 5
        velocity = [4.0];
        sgd_step(SgdStep { nesterov: true, ..SGD }, &[8.0], &[1.0], &mut velocity, &mut out);
        assert_eq!((velocity, out), ([5.0], [5.25]));
    }

    #[test]
    fn the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient() {
        let step = AdamStep {
            lr: 0.25,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 0.0,
            weight_decay: 0.0,
            decoupled: false,
            update: 1,
        };
        let first_step = |step: AdamStep| {
            let (mut first, mut second, mut out) = ([0.0; 2], [0.0; 2], [0.0; 2]);
            let moments = AdamMoments { first: &mut first, second: &mut second };
            adam_step(step, &[1.0, 1.0], &[1e-3, -7.0], moments, &mut out);
            out
        };
        let close = |found: [f32; 2], expected: [f32; 2]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
        };
        close(first_step(step), [0.75, 1.25]);
        // decoupled decay takes a part of θ; in the gradient, it only changes signs
        close(first_step(AdamStep { weight_decay: 0.4, decoupled: true, ..step }), [0.65, 1.15]);
        close(first_step(AdamStep { weight_decay: 0.4, ..step }), [0.75, 1.25]);
    }
}
