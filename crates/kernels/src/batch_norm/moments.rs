//! Mean and variance of columns, computed block by block while the rows are still in the caches.

use multiversion::multiversion;

use crate::narrow::{self, is_narrow};
use crate::rows::{BLOCK_ROWS, Threads, add_rows, block};

/// Count, mean and sum of squared deviations of the columns of some rows. Parts are merged by the pairwise formula of
/// Chan, Golub & LeVeque (1983); within 256 rows sums are in f32, beyond in f64.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    count: usize,
    mean: Vec<f64>,
    squares: Vec<f64>,
    /// The block's sums, then its mean.
    center: Vec<f32>,
    /// The block's squared deviations.
    spread: Vec<f32>,
}

impl Moments {
    /// The moments of no rows.
    pub fn new(columns: usize) -> Self {
        let (wide, narrow) = (vec![0.0; columns], vec![0.0; columns]);
        Self { count: 0, mean: wide.clone(), squares: wide, center: narrow.clone(), spread: narrow }
    }

    /// The moments of the rows of `x`, on one thread or on all, with the same bits.
    ///
    /// # Panics
    /// If `x` is not a whole number of rows.
    pub fn of(x: &[f32], columns: usize, threads: Threads) -> Self {
        let blocks = (x.len() / columns).div_ceil(BLOCK_ROWS);
        let parts = threads.map(blocks, |index| {
            let mut part = Self::new(columns);
            part.add(block(x, columns, index));
            part
        });
        Self::merged(columns, &parts)
    }

    /// The combined moments of several parts, merged in order.
    ///
    /// # Panics
    /// If a part has another number of columns.
    pub fn merged(columns: usize, parts: &[Self]) -> Self {
        let mut all = Self::new(columns);
        parts.iter().for_each(|part| all.merge(part.count, &part.mean, &part.squares));
        all
    }

    /// Forgets all rows and changes the number of columns.
    pub fn reset(&mut self, columns: usize) {
        self.count = 0;
        for values in [&mut self.mean, &mut self.squares] {
            values.clear();
            values.resize(columns, 0.0);
        }
        self.center.resize(columns, 0.0);
        self.spread.resize(columns, 0.0);
    }

    /// Adds more rows, on the calling thread.
    ///
    /// # Panics
    /// If `x` is not a whole number of rows.
    pub fn add(&mut self, x: &[f32]) {
        let columns = self.mean.len();
        assert!(x.len().is_multiple_of(columns));
        for rows in x.chunks(BLOCK_ROWS * columns) {
            let count = rows.len() / columns;
            self.center.fill(0.0);
            add_rows(rows, &mut self.center);
            let share = 1.0 / count as f32;
            self.center.iter_mut().for_each(|sum| *sum *= share);
            self.spread.fill(0.0);
            if is_narrow(columns) {
                narrow::add_rows(rows, Some(&self.center), &mut self.spread);
            } else {
                add_squares(rows, &self.center, &mut self.spread);
            }
            self.merge_block(count);
        }
    }

    fn merge_block(&mut self, count: usize) {
        let (center, spread) = (std::mem::take(&mut self.center), std::mem::take(&mut self.spread));
        self.merge(count, &center, &spread);
        (self.center, self.spread) = (center, spread);
    }

    fn merge<F: Copy + Into<f64>>(&mut self, count: usize, mean: &[F], squares: &[F]) {
        assert!(mean.len() == self.mean.len() && squares.len() == self.mean.len());
        let total = self.count + count;
        if count == 0 {
            return;
        }
        let share = count as f64 / total as f64;
        let weight = self.count as f64 * share;
        for (column, (&mean, &squares)) in mean.iter().zip(squares).enumerate() {
            let apart = mean.into() - self.mean[column];
            self.mean[column] += apart * share;
            self.squares[column] += squares.into() + apart * apart * weight;
        }
        self.count = total;
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// μ
    pub fn mean(&self) -> Vec<f32> {
        self.mean.iter().map(|&mean| mean as f32).collect()
    }

    /// σ², biased
    pub fn var(&self) -> Vec<f32> {
        self.squares.iter().map(|&squares| (squares / self.count as f64) as f32).collect()
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn add_squares(x: &[f32], mean: &[f32], sum: &mut [f32]) {
    for row in x.chunks_exact(sum.len()) {
        for ((sum, &mean), &x) in sum.iter_mut().zip(mean).zip(row) {
            *sum += (x - mean) * (x - mean);
        }
    }
}
