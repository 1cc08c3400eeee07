use super::*;
use crate::rows::Threads;
use crate::test_support::{differences, noise, norm_error, wide};

const ROWS: usize = 9;
const COLUMNS: usize = 13;
const EPS: f32 = 1e-5;

fn statistics(x: &[f32], columns: usize, threads: Threads) -> (Vec<f32>, Vec<f32>) {
    let moments = Moments::of(x, columns, threads);
    (moments.mean(), moments.var())
}

fn column_moments(x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let column = |c: usize| (0..ROWS).map(move |r| r * COLUMNS + c);
    let mean: Vec<f64> = (0..COLUMNS).map(|c| column(c).map(|i| x[i]).sum::<f64>() / ROWS as f64).collect();
    let var = (0..COLUMNS)
        .map(|c| column(c).map(|i| (x[i] - mean[c]).powi(2)).sum::<f64>() / ROWS as f64)
        .collect();
    (mean, var)
}

/// Σ dy y as a function of x, γ and β, with given or batch statistics.
fn value(x: &[f64], scale: &[f64], shift: &[f64], dy: &[f32], given: Option<&(Vec<f64>, Vec<f64>)>) -> f64 {
    let own = column_moments(x);
    let (mean, var) = given.unwrap_or(&own);
    let y = |i: usize| {
        let c = i % COLUMNS;
        scale[c] * (x[i] - mean[c]) / (var[c] + f64::from(EPS)).sqrt() + shift[c]
    };
    (0..x.len()).map(|i| y(i) * f64::from(dy[i])).sum()
}

#[test]
fn forward_agrees_with_f64_and_relu_keeps_nan() {
    let x = noise(1, ROWS * COLUMNS);
    let (scale, shift) = (noise(2, COLUMNS), noise(3, COLUMNS));
    let (mean, var) = statistics(&x, COLUMNS, Threads::One);
    let (mean_64, var_64) = column_moments(&wide(&x));
    assert!(norm_error(&mean, &mean_64) < 1e-6 && norm_error(&var, &var_64) < 1e-6);
    let norm = Normalization { mean: &mean, var: &var, scale: &scale, shift: &shift, eps: EPS };
    let mut y = x.clone();
    y[5] = f32::NAN;
    let mut in_place = y.clone();
    let normalizer = Normalizer::new(norm, true);
    normalizer.apply(&y.clone(), &mut y);
    normalizer.apply_in_place(&mut in_place, Threads::All);
    assert_eq!(
        y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
        in_place.iter().map(|y| y.to_bits()).collect::<Vec<_>>()
    );
    assert!(y[5].is_nan() && y.iter().all(|&y| y.is_nan() || y >= 0.0));
}

#[test]
fn many_rows_are_summed_exactly_enough_and_threads_change_nothing() {
    let x: Vec<f32> = noise(5, 100_000 * 3).iter().map(|x| x + 3.0).collect();
    let run = |threads| statistics(&x, 3, threads);
    let (mean, var) = run(Threads::One);
    assert_eq!((mean.clone(), var.clone()), run(Threads::All));
    for column in 0..3 {
        let values = || x.iter().skip(column).step_by(3).map(|&x| f64::from(x));
        let exact = values().sum::<f64>() / 1e5;
        let spread = values().map(|x| (x - exact).powi(2)).sum::<f64>() / 1e5;
        // one rounding to f32, and sums of 256 terms
        assert!((f64::from(mean[column]) / exact - 1.0).abs() < 3e-7);
        assert!((f64::from(var[column]) / spread - 1.0).abs() < 1e-6);
    }
}

#[test]
fn backward_agrees_with_central_differences_in_both_modes() {
    let x = noise(1, ROWS * COLUMNS);
    let dy = noise(2, ROWS * COLUMNS);
    let (scale, shift) = (noise(3, COLUMNS), noise(4, COLUMNS));
    let (mut mean, mut var) = statistics(&x, COLUMNS, Threads::One);
    for batch in [true, false] {
        if !batch {
            mean.fill(0.2);
            var.fill(0.7);
        }
        let norm = Normalization { mean: &mean, var: &var, scale: &scale, shift: &shift, eps: EPS };
        let (mut dx, mut dscale, mut dshift) = (dy.clone(), vec![0.0; COLUMNS], vec![0.0; COLUMNS]);
        let norm = NormBackward::new(norm, false, batch);
        backward(&norm, &x, &mut dx, &[]).add_to(&mut dscale, &mut dshift);
        let (before, mut onto) = (noise(5, x.len()), dy.clone());
        backward(&norm, &x, &mut onto, &before);
        assert!(
            onto.iter().zip(&dx).zip(&before).all(|((onto, dx), before)| (onto - (dx + before)).abs() < 1e-6)
        );
        let (x, scale, shift) = (wide(&x), wide(&scale), wide(&shift));
        let given = (wide(&mean), wide(&var));
        let given = (!batch).then_some(&given);
        // f32 sums of 9 terms; the reference's own error is about 1e-9
        assert!(norm_error(&dx, &differences(&x, |x| value(x, &scale, &shift, &dy, given))) < 2e-6);
        assert!(norm_error(&dscale, &differences(&scale, |s| value(&x, s, &shift, &dy, given))) < 2e-6);
        assert!(norm_error(&dshift, &differences(&shift, |s| value(&x, &scale, s, &dy, given))) < 2e-6);
    }
}

#[test]
fn a_relu_after_the_norm_stops_the_gradient_where_it_is_flat() {
    let (x, dy) = (noise(1, ROWS * COLUMNS), noise(2, ROWS * COLUMNS));
    let (scale, shift) = (noise(3, COLUMNS), noise(4, COLUMNS));
    let (mean, var) = statistics(&x, COLUMNS, Threads::One);
    let norm = Normalization { mean: &mean, var: &var, scale: &scale, shift: &shift, eps: EPS };
    let mut y = vec![0.0; x.len()];
    Normalizer::new(norm, true).apply(&x, &mut y);
    let mut masked: Vec<f32> = dy.iter().zip(&y).map(|(&dy, &y)| if y > 0.0 { dy } else { 0.0 }).collect();
    let mut dx = dy;
    backward(&NormBackward::new(norm, true, true), &x, &mut dx, &[]);
    backward(&NormBackward::new(norm, false, true), &x, &mut masked, &[]);
    assert_eq!(dx, masked);
}

#[test]
fn parts_merge_to_the_whole() {
    let x = noise(9, 1000 * 3);
    let (mean, var) = statistics(&x, 3, Threads::One);
    let (mut a, mut b) = (Moments::new(3), Moments::new(3));
    a.add(&x[..300]);
    b.add(&x[300..]);
    let merged = Moments::merged(3, &[a, Moments::new(3), b]);
    assert_eq!(merged.count(), 1000);
    assert!(norm_error(&merged.mean(), &wide(&mean)) < 1e-6 && norm_error(&merged.var(), &wide(&var)) < 1e-6);
}
