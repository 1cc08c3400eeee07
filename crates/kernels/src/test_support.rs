//! Helpers shared by the kernels' tests.

/// `len` reproducible values in (-1, 1).
pub(crate) fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// ‖found - expected‖ / ‖expected‖.
pub(crate) fn norm_error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let difference: f64 = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).powi(2)).sum();
    let size: f64 = expected.iter().map(|e| e * e).sum();
    (difference / size.max(f64::MIN_POSITIVE)).sqrt()
}

/// Central differences of `f` at `x`, in f64.
pub(crate) fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-5;
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let at = x[i];
            x[i] = at + h;
            let up = f(&x);
            x[i] = at - h;
            let down = f(&x);
            x[i] = at;
            (up - down) / (2.0 * h)
        })
        .collect()
}

/// f32 values as f64.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// Runs a block once for each vector width of the machine; in it, `$run!(work)` runs work with such vectors.
macro_rules! for_every_width {
    ($run:ident => $block:block) => {{
        crate::test_support::with_width!(::pulp::Scalar::new(), $run => $block);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = ::pulp::x86::V3::try_new() {
                crate::test_support::with_width!(simd, $run => $block);
            }
            if let Some(simd) = ::pulp::x86::V4::try_new() {
                crate::test_support::with_width!(simd, $run => $block);
            }
        }
    }};
}

/// Runs a block in which `$run!(work)` runs work with the vectors of `$simd`.
macro_rules! with_width {
    ($simd:expr, $run:ident => $block:block) => {{
        macro_rules! $run {
            ($work:expr) => {
                ::pulp::Simd::vectorize($simd, $work)
            };
        }
        $block
    }};
}

pub(crate) use {for_every_width, with_width};
