//! Matrix products with gemm, parallelized by our own threads.
#![expect(unsafe_code, reason = "gemm takes pointers; tasks write disjoint columns of one matrix")]

use rayon::prelude::*;

/// Work per task of [`matmul_parallel`], in multiply-adds: about 0.1 ms on one core.
const TASK_MULTIPLY_ADDS: usize = 1 << 23;
/// Maximum number of tasks per product; it limits how often operands are packed.
pub(crate) const MAX_TASKS: usize = 8;

/// A read-only matrix view with strides.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix whose rows start `stride` elements apart.
    ///
    /// # Panics
    /// If `data` is too short or `stride` smaller than `columns`.
    pub fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            stride >= columns && data.len() >= needed(rows, columns, stride),
            "matrix view out of bounds"
        );
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// Rows and columns.
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The same elements with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A writable row-major matrix.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// A row-major matrix whose rows start `stride` elements apart.
    ///
    /// # Panics
    /// If `data` is too short or `stride` smaller than `columns`.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            stride >= columns && data.len() >= needed(rows, columns, stride),
            "matrix view out of bounds"
        );
        Self { data, rows, columns, stride }
    }
}

fn needed(rows: usize, columns: usize, stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * stride + columns }
}

/// Whether a product replaces the output or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// C = A B
    Replace,
    /// C += A B
    Add,
}

/// C = A B or C += A B on the calling thread.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, c: &mut MatrixMut<'_>, write: Write) {
    check(a, b, c);
    let columns = c.columns;
    // SAFETY: `check` compared the shapes, the views are within their slices, `c` is exclusive
    unsafe { product(a, b, c.data.as_mut_ptr(), c.stride, 0..columns, write) };
}

/// Like [`matmul`], divided into tasks over C's columns, only by size: same bits for any number of threads.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul_parallel(a: Matrix<'_>, b: Matrix<'_>, c: &mut MatrixMut<'_>, write: Write) {
    check(a, b, c);
    let columns = c.columns;
    let tasks = (c.rows * columns * a.columns / TASK_MULTIPLY_ADDS).clamp(1, MAX_TASKS);
    let width = columns.div_ceil(tasks).next_multiple_of(16);
    if width >= columns {
        return matmul(a, b, c, write);
    }
    let out = Shared(c.data.as_mut_ptr());
    let stride = c.stride;
    (0..columns.div_ceil(width)).into_par_iter().for_each(|task| {
        let range = task * width..columns.min((task + 1) * width);
        // SAFETY: as in `matmul`; the tasks' column ranges are disjoint
        unsafe { product(a, b, out.get(), stride, range, write) };
    });
}

/// A pointer that tasks write through at disjoint places.
struct Shared(*mut f32);
// SAFETY: only `matmul_parallel` uses it, for disjoint columns
unsafe impl Sync for Shared {}
impl Shared {
    fn get(&self) -> *mut f32 {
        self.0
    }
}

fn check(a: Matrix<'_>, b: Matrix<'_>, c: &MatrixMut<'_>) {
    assert!(
        a.rows == c.rows && b.columns == c.columns && a.columns == b.rows,
        "product of [{}, {}] and [{}, {}] into [{}, {}]",
        a.rows,
        a.columns,
        b.rows,
        b.columns,
        c.rows,
        c.columns
    );
}

/// Columns `range` of the product.
///
/// # Safety
/// The shapes fit; `c` points to `a.rows` rows `stride` apart, of which nothing else accesses columns `range`.
unsafe fn product(
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: *mut f32,
    stride: usize,
    range: std::ops::Range<usize>,
    write: Write,
) {
    if a.rows == 0 || range.is_empty() {
        return;
    }
    if a.columns == 0 {
        assert!(write == Write::Add, "an empty product has nothing to write");
        return;
    }
    let b_start = &b.data[range.start * b.column_stride..];
    // SAFETY: `range.start` lies inside the first row
    let c = unsafe { c.add(range.start) };
    // SAFETY: the views' bounds were checked when they were made; strides and sizes describe them
    unsafe {
        gemm::gemm(
            a.rows,
            range.len(),
            a.columns,
            c,
            1,
            stride as isize,
            write == Write::Add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b_start.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{noise, norm_error};

    fn reference(a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Vec<f64> {
        let at = |i: usize, j: usize| (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b[l * n + j])).sum();
        (0..m * n).map(|index| at(index / n, index % n)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn agrees_with_f64(m in 1usize..60, k in 1usize..90, n in 1usize..70, pad in 0usize..5) {
            let (a, b) = (noise(1, m * k), noise(2, k * n));
            let mut c = vec![7.0; m * (n + pad)];
            matmul(Matrix::new(&a, m, k, k), Matrix::new(&b, k, n, n), &mut MatrixMut::new(&mut c, m, n, n + pad), Write::Replace);
            let rows: Vec<f32> = c.chunks(n + pad).flat_map(|row| &row[..n]).copied().collect();
            // a sum of k products of order 1: relative error about sqrt(k) 2^-24, below 1e-6 for k < 90
            prop_assert!(norm_error(&rows, &reference(&a, &b, m, k, n)) < 1e-6);
            prop_assert!(c.chunks(n + pad).all(|row| row[n..].iter().all(|&x| x == 7.0)));
        }
    }

    #[test]
    fn parallel_gives_the_same_bits_on_any_pool_and_adds() {
        let (m, k, n) = (100, 784, 500);
        let (a, b) = (noise(1, m * k), noise(2, n * k));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut c = vec![1.0; m * n];
            let b = Matrix::new(&b, n, k, k).transposed();
            pool.install(|| {
                matmul_parallel(
                    Matrix::new(&a, m, k, k),
                    b,
                    &mut MatrixMut::new(&mut c, m, n, n),
                    Write::Add,
                );
            });
            c
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(3));
        let row: f32 = (0..k).map(|l| a[l] * b[l]).sum();
        assert!((one[0] - 1.0 - row).abs() < 1e-3);
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn a_view_beyond_its_slice_is_refused() {
        let _ = Matrix::new(&[0.0; 5], 2, 3, 3);
    }
}
