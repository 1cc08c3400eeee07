//! The speed of matrix products on this computer, a reference for other speeds.

use std::time::Instant;

use rayon::prelude::*;
use walk_kernels::matmul::{Matrix, MatrixMut, Write, matmul};

/// Floating-point operations per second of gemm on all threads of the pool, in GFLOP/s: each thread multiplies its own
/// matrices of 768 rows and columns. The best of several repetitions.
pub fn gemm_gflops() -> f64 {
    const N: usize = 768;
    const REPEAT: usize = 8;
    let threads = rayon::current_num_threads();
    let operand: Vec<f32> = (0..N * N).map(|i| (i % 17) as f32 / 17.0 - 0.4).collect();
    let mut outputs = vec![vec![0.0; N * N]; threads];
    let seconds = (0..REPEAT).map(|_| {
        let started = Instant::now();
        outputs.par_iter_mut().for_each(|out| {
            let operand = Matrix::new(&operand, N, N, N);
            matmul(operand, operand, &mut MatrixMut::new(out, N, N, N), Write::Replace);
        });
        started.elapsed().as_secs_f64()
    });
    let best = seconds.fold(f64::INFINITY, f64::min);
    (2 * N * N * N * threads) as f64 / best / 1e9
}
