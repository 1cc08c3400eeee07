//! Work on the rows of a `[rows, columns]` matrix in blocks, on one thread or on all, with the same bits.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::narrow::{self, is_narrow};

/// Number of rows summed in f32; the blocks' sums are added in f64, so 100,000 rows round no worse than 256.
pub(crate) const BLOCK_ROWS: usize = 256;

/// Elements per task if rows are independent of each other.
pub(crate) const TASK: usize = 1 << 14;

/// Whether an operation runs on the calling thread or on all; the bits are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread.
    One,
    /// All threads of the pool.
    All,
}

impl Threads {
    /// `work` on every index, results in order.
    pub(crate) fn map<T: Send>(self, n: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
        match self {
            Self::One => (0..n).map(work).collect(),
            Self::All => (0..n).into_par_iter().map(work).collect(),
        }
    }

    /// `work` on every block of rows of a matrix with `columns` columns, with the index of the block's first element.
    pub(crate) fn blocks(
        self,
        values: &mut [f32],
        columns: usize,
        work: impl Fn(usize, &mut [f32]) + Sync + Send,
    ) {
        self.map_mut(values, columns, |index, rows| work(index * BLOCK_ROWS * columns, rows));
    }

    /// As [`Threads::blocks`], with the block's index; results in order.
    pub(crate) fn map_mut<T: Send>(
        self,
        values: &mut [f32],
        columns: usize,
        work: impl Fn(usize, &mut [f32]) -> T + Sync + Send,
    ) -> Vec<T> {
        let block = BLOCK_ROWS * columns;
        match self {
            Self::One => {
                values.chunks_mut(block).enumerate().map(|(index, rows)| work(index, rows)).collect()
            }
            Self::All => {
                values.par_chunks_mut(block).enumerate().map(|(index, rows)| work(index, rows)).collect()
            }
        }
    }
}

/// The rows of block `index`.
pub(crate) fn block(values: &[f32], columns: usize, index: usize) -> &[f32] {
    let start = index * BLOCK_ROWS * columns;
    &values[start..values.len().min(start + BLOCK_ROWS * columns)]
}

/// Per column, the sum of the results of `work` for each block.
pub(crate) fn sum_blocks(
    [rows, columns]: [usize; 2],
    threads: Threads,
    work: impl Fn(usize, &mut [f32]) + Sync + Send,
) -> Vec<f64> {
    let blocks = threads.map(rows.div_ceil(BLOCK_ROWS), |index| {
        let mut sum = vec![0.0; columns];
        work(index, &mut sum);
        sum
    });
    let mut total = vec![0.0f64; columns];
    for block in blocks {
        total.iter_mut().zip(block).for_each(|(total, sum)| *total += f64::from(sum));
    }
    total
}

/// The sum of the rows of a `[rows, out.len()]` matrix, added to `out`, over all threads.
///
/// # Panics
/// If `values` is not a whole number of rows.
pub fn add_column_sums(values: &[f32], out: &mut [f32]) {
    let columns = out.len();
    assert!(values.len().is_multiple_of(columns));
    let size = [values.len() / columns, columns];
    let sums = sum_blocks(size, Threads::All, |index, sum| add_rows(block(values, columns, index), sum));
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum as f32);
}

/// sum += every row of x, first row first.
pub(crate) fn add_rows(x: &[f32], sum: &mut [f32]) {
    if is_narrow(sum.len()) { narrow::add_rows(x, None, sum) } else { add_wide_rows(x, sum) }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn add_wide_rows(x: &[f32], sum: &mut [f32]) {
    for row in x.chunks_exact(sum.len()) {
        for (sum, &x) in sum.iter_mut().zip(row) {
            *sum += x;
        }
    }
}
