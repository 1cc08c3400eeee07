//! Images with channels first, as in the data and in PyTorch, and channels last, as used by the kernels.

/// `[channels, pixels]` to `[pixels, channels]` for every image.
///
/// # Panics
/// If the lengths differ or are not a whole number of images.
pub fn to_channels_last(channels: usize, pixels: usize, from: &[f32], to: &mut [f32]) {
    transpose_each(channels, pixels, from, to);
}

/// `[pixels, channels]` to `[channels, pixels]` for every image.
///
/// # Panics
/// If the lengths differ or are not a whole number of images.
pub fn to_channels_first(channels: usize, pixels: usize, from: &[f32], to: &mut [f32]) {
    transpose_each(pixels, channels, from, to);
}

/// Transposes every `[rows, columns]` matrix.
fn transpose_each(rows: usize, columns: usize, from: &[f32], to: &mut [f32]) {
    assert!(from.len() == to.len() && from.len().is_multiple_of(rows * columns));
    for (from, to) in from.chunks_exact(rows * columns).zip(to.chunks_exact_mut(rows * columns)) {
        transpose(rows, columns, from, to);
    }
}

/// `to[c][r] = from[r][c]`, in blocks that stay in the first-level cache.
pub(crate) fn transpose(rows: usize, columns: usize, from: &[f32], to: &mut [f32]) {
    const BLOCK: usize = 32;
    for first_row in (0..rows).step_by(BLOCK) {
        let block_rows = first_row..rows.min(first_row + BLOCK);
        for column in 0..columns {
            for (to, row) in to[column * rows..][block_rows.clone()].iter_mut().zip(block_rows.clone()) {
                *to = from[row * columns + column];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::noise;

    #[test]
    fn there_and_back_is_the_same() {
        let first = noise(1, 2 * 3 * 50);
        let (mut last, mut back) = (vec![0.0; first.len()], vec![0.0; first.len()]);
        to_channels_last(3, 50, &first, &mut last);
        assert_eq!((last[1], last[3], last[150]), (first[50], first[1], first[150]));
        to_channels_first(3, 50, &last, &mut back);
        assert_eq!(first, back);
    }
}
