//! Elements moved within each sample by an index: permutations, concatenations, padding, subsampling.

use rayon::prelude::*;

use crate::matmul::Write;

/// The index that denotes a zero.
pub const ZERO: u32 = u32::MAX;

/// Where every element of a sample of the output comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rearrangement {
    /// Elements of a sample of the input.
    pub in_len: usize,
    /// For every element of a sample of the output, its place in the input, or [`ZERO`].
    pub from: Vec<u32>,
}

impl Rearrangement {
    /// y = (or +=) the elements of every sample of x, on the calling thread. A sample of `x` has `in_len`
    /// elements, a sample of `y` as many as `from`.
    ///
    /// # Panics
    /// If a length or a place does not fit.
    pub fn apply(&self, x: &[f32], y: &mut [f32], write: Write) {
        assert_eq!(x.len() / self.in_len, y.len() / self.from.len());
        for (x, y) in x.chunks_exact(self.in_len).zip(y.chunks_exact_mut(self.from.len())) {
            for (y, &from) in y.iter_mut().zip(&self.from) {
                let before = if write == Write::Add { *y } else { 0.0 };
                *y = before + if from == ZERO { 0.0 } else { x[from as usize] };
            }
        }
    }

    /// [`Rearrangement::apply`] over all threads, without adding.
    ///
    /// # Panics
    /// If a length or a place does not fit.
    pub fn apply_parallel(&self, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len() / self.in_len, y.len() / self.from.len());
        let samples = x.par_chunks_exact(self.in_len).zip(y.par_chunks_exact_mut(self.from.len()));
        samples.for_each(|(x, y)| self.apply(x, y, Write::Replace));
    }

    /// dx += the adjoint, over all threads.
    ///
    /// # Panics
    /// If a length or a place does not fit.
    pub fn backward(&self, dy: &[f32], dx: &mut [f32]) {
        assert_eq!(dx.len() / self.in_len, dy.len() / self.from.len());
        let samples = dx.par_chunks_exact_mut(self.in_len).zip(dy.par_chunks_exact(self.from.len()));
        samples.for_each(|(dx, dy)| {
            for (&dy, &from) in dy.iter().zip(&self.from) {
                if from != ZERO {
                    dx[from as usize] += dy;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_move_and_gradients_move_back() {
        let turn = Rearrangement { in_len: 3, from: vec![2, ZERO, 0, 2] };
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut y = [f32::NAN; 8];
        turn.apply_parallel(&x, &mut y);
        assert_eq!(y, [3.0, 0.0, 1.0, 3.0, 6.0, 0.0, 4.0, 6.0]);
        turn.apply(&x, &mut y, Write::Add);
        assert_eq!(y, [6.0, 0.0, 2.0, 6.0, 12.0, 0.0, 8.0, 12.0]);
        let mut dx = [10.0; 6];
        turn.backward(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &mut dx);
        assert_eq!(dx, [13.0, 10.0, 15.0, 17.0, 10.0, 23.0]);
    }
}
