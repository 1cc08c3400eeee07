//! Pointwise nonlinearities and their derivatives.

use multiversion::multiversion;
use rayon::prelude::*;

/// Elements per task.
const TASK: usize = 1 << 14;

/// max(0, x), in place.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub fn relu(values: &mut [f32]) {
    for x in values {
        // not f32::max, which would turn a NaN into 0
        *x = if *x < 0.0 { 0.0 } else { *x };
    }
}

/// A pointwise nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// max(0, x).
    Relu,
    /// x for x > 0, `slope` x elsewhere.
    LeakyRelu {
        /// Slope for x ≤ 0.
        slope: f32,
    },
    /// x Φ(x).
    Gelu,
    /// x σ(x).
    Silu,
    /// tanh x.
    Tanh,
    /// σ(x) = 1 / (1 + e^(-x)).
    Sigmoid,
    /// min(max(0, x), 6).
    Relu6,
    /// x for x > 0, e^x - 1 elsewhere.
    Elu,
    /// x min(max(0, x + 3), 6) / 6.
    HardSwish,
}

impl Activation {
    /// f(x) for every element, in place.
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::Relu => relu(values),
            Self::LeakyRelu { slope } => map(values, |x| if x > 0.0 { x } else { slope * x }),
            Self::Gelu => map(values, |x| x * normal_cdf(x)),
            Self::Silu => map(values, |x| x * sigmoid(x)),
            Self::Tanh => map(values, f32::tanh),
            Self::Sigmoid => map(values, sigmoid),
            Self::Relu6 => map(values, |x| x.clamp(0.0, 6.0)),
            Self::Elu => map(values, |x| if x > 0.0 { x } else { x.exp_m1() }),
            Self::HardSwish => map(values, hard_swish),
        }
    }

    /// [`Activation::apply`] over all threads.
    pub fn apply_parallel(self, values: &mut [f32]) {
        values.par_chunks_mut(TASK).for_each(|values| self.apply(values));
    }

    /// [`Activation::backward`] over all threads.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn backward_parallel(self, input: &[f32], grad_output: &[f32], grad_input: &mut [f32]) {
        assert!(input.len() == grad_output.len() && input.len() == grad_input.len());
        let tasks =
            grad_input.par_chunks_mut(TASK).zip(input.par_chunks(TASK)).zip(grad_output.par_chunks(TASK));
        tasks.for_each(|((grad_input, input), grad_output)| self.backward(input, grad_output, grad_input));
    }

    /// `grad_input` += f'(x) `grad_output`, element by element.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn backward(self, input: &[f32], grad_output: &[f32], grad_input: &mut [f32]) {
        assert!(input.len() == grad_output.len() && input.len() == grad_input.len());
        let add = |derivative: fn(f32) -> f32, grad_input: &mut [f32]| {
            for ((g, &x), &upstream) in grad_input.iter_mut().zip(input).zip(grad_output) {
                *g += derivative(x) * upstream;
            }
        };
        match self {
            Self::Relu => leaky_backward(0.0, input, grad_output, grad_input),
            Self::LeakyRelu { slope } => leaky_backward(slope, input, grad_output, grad_input),
            Self::Gelu => add(|x| normal_cdf(x) + x * normal_density(x), grad_input),
            Self::Silu => add(|x| sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))), grad_input),
            Self::Tanh => add(|x| 1.0 - x.tanh() * x.tanh(), grad_input),
            Self::Sigmoid => add(|x| sigmoid(x) * (1.0 - sigmoid(x)), grad_input),
            Self::Relu6 => add(|x| if x > 0.0 && x < 6.0 { 1.0 } else { 0.0 }, grad_input),
            Self::Elu => add(|x| if x > 0.0 { 1.0 } else { x.exp() }, grad_input),
            Self::HardSwish => add(hard_swish_slope, grad_input),
        }
    }
}

impl Activation {
    /// Whether its second derivative is anywhere but 0.
    pub fn is_curved(self) -> bool {
        !matches!(self, Self::Relu | Self::LeakyRelu { .. } | Self::Relu6)
    }

    /// `grad_input` += f''(x) ẋ p, the gradient of Σ p f'(x) ẋ by x, over all threads.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn tangent_backward(self, input: &[f32], dot_input: &[f32], p: &[f32], grad_input: &mut [f32]) {
        assert!(input.len() == p.len() && input.len() == dot_input.len() && input.len() == grad_input.len());
        let second: fn(f32) -> f32 = match self {
            Self::Relu | Self::LeakyRelu { .. } | Self::Relu6 => return,
            Self::Gelu => |x| normal_density(x) * (2.0 - x * x),
            Self::Silu => |x| {
                let s = sigmoid(x);
                s * (1.0 - s) * (2.0 + x * (1.0 - 2.0 * s))
            },
            Self::Tanh => |x| -2.0 * x.tanh() * (1.0 - x.tanh() * x.tanh()),
            Self::Sigmoid => |x| {
                let s = sigmoid(x);
                s * (1.0 - s) * (1.0 - 2.0 * s)
            },
            Self::Elu => |x| if x > 0.0 { 0.0 } else { x.exp() },
            Self::HardSwish => |x| if x > -3.0 && x < 3.0 { 1.0 / 3.0 } else { 0.0 },
        };
        let tasks = grad_input.par_chunks_mut(TASK).zip(input.par_chunks(TASK));
        let tasks = tasks.zip(dot_input.par_chunks(TASK).zip(p.par_chunks(TASK)));
        tasks.for_each(|((grad, input), (dot, p))| {
            for (((grad, &x), &dot), &p) in grad.iter_mut().zip(input).zip(dot).zip(p) {
                *grad += second(x) * dot * p;
            }
        });
    }
}

fn map(values: &mut [f32], f: impl Fn(f32) -> f32) {
    for x in values {
        *x = f(*x);
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn leaky_backward(slope: f32, input: &[f32], grad_output: &[f32], grad_input: &mut [f32]) {
    for ((g, &x), &upstream) in grad_input.iter_mut().zip(input).zip(grad_output) {
        *g += if x > 0.0 { upstream } else { slope * upstream };
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn hard_swish(x: f32) -> f32 {
    if x <= -3.0 {
        0.0
    } else if x >= 3.0 {
        x
    } else {
        x * (x + 3.0) / 6.0
    }
}

fn hard_swish_slope(x: f32) -> f32 {
    if x <= -3.0 {
        0.0
    } else if x >= 3.0 {
        1.0
    } else {
        x / 3.0 + 0.5
    }
}

/// Φ(x), the standard normal distribution function.
fn normal_cdf(x: f32) -> f32 {
    0.5 * libm::erfcf(-x * std::f32::consts::FRAC_1_SQRT_2)
}

/// φ(x), the standard normal density.
fn normal_density(x: f32) -> f32 {
    const NORM: f32 = 0.398_942_3; // 1/√(2π)
    NORM * (-0.5 * x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{norm_error, wide};

    const ALL: [Activation; 9] = [
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.01 },
        Activation::Gelu,
        Activation::Silu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Elu,
        Activation::HardSwish,
        Activation::Relu6,
    ];

    fn exact(activation: Activation, x: f64) -> f64 {
        match activation {
            Activation::Relu => x.max(0.0),
            Activation::LeakyRelu { slope } => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(slope) * x
                }
            }
            Activation::Gelu => x * 0.5 * libm::erfc(-x / 2f64.sqrt()),
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Elu => {
                if x > 0.0 {
                    x
                } else {
                    x.exp_m1()
                }
            }
            Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        }
    }

    #[test]
    fn values_and_derivatives_agree_with_f64() {
        let x: Vec<f32> = (0..41).map(|i| (i as f32 - 20.3) * 0.25).collect();
        for activation in ALL {
            let mut y = x.clone();
            activation.apply(&mut y);
            let expected: Vec<f64> = wide(&x).into_iter().map(|x| exact(activation, x)).collect();
            assert!(norm_error(&y, &expected) < 3e-7, "{activation:?}");
            let mut grad = vec![0.0; x.len()];
            activation.backward(&x, &vec![1.0; x.len()], &mut grad);
            let h = 1e-6;
            let slopes = wide(&x).into_iter();
            let slopes: Vec<f64> =
                slopes.map(|x| (exact(activation, x + h) - exact(activation, x - h)) / (2.0 * h)).collect();
            assert!(norm_error(&grad, &slopes) < 1e-6, "{activation:?}");
        }
    }

    #[test]
    fn second_derivatives_agree_with_f64() {
        let x: Vec<f32> = (0..41).map(|i| (i as f32 - 20.3) * 0.25).collect();
        let ones = vec![1.0; x.len()];
        for activation in &ALL[2..8] {
            let mut grad = vec![0.0; x.len()];
            activation.tangent_backward(&x, &ones, &ones, &mut grad);
            let h = 1e-3;
            let f = |x| exact(*activation, x);
            // fourth-order difference: error about h⁴, rounding about 1e-16/h²
            let curve = |x: f64| {
                (16.0 * (f(x + h) + f(x - h)) - f(x + 2.0 * h) - f(x - 2.0 * h) - 30.0 * f(x))
                    / (12.0 * h * h)
            };
            let expected: Vec<f64> = wide(&x).into_iter().map(curve).collect();
            assert!(norm_error(&grad, &expected) < 1e-6, "{activation:?}");
        }
        let mut grad = [0.0];
        Activation::Relu.tangent_backward(&[1.0], &[1.0], &[1.0], &mut grad);
        assert_eq!(grad, [0.0]);
    }

    #[test]
    fn backward_adds() {
        let mut grad = [1.0, 1.0];
        Activation::Relu.backward(&[2.0, -2.0], &[3.0, 3.0], &mut grad);
        assert_eq!(grad, [4.0, 1.0]);
    }
}
