//! Products of tiles and filters, with the sums in registers. Filters are laid out for them once, and tiles are written where
//! they are read, so that nothing is packed; gemm packs both for every product.

use pulp::{Simd, WithSimd};

use super::filters::Panel;
use super::layout::{BLOCK, GROUP, Layout};

/// The products of one element of tiles with a panel of filters.
pub(super) struct Product<'a, const IN: usize> {
    pub(super) element: usize,
    pub(super) tiles: usize,
    pub(super) from: Layout<IN>,
    pub(super) inputs: &'a [f32],
    pub(super) filters: Panel<'a>,
    pub(super) to: Layout<IN>,
    pub(super) products: &'a mut [f32],
}

impl<const IN: usize> WithSimd for Product<'_, IN> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        // as many sums as leave registers for their operands, of which there are 32 or 16
        let wide = S::F32_LANES >= 16;
        for first in (0..self.tiles).step_by(BLOCK) {
            let tiles = BLOCK.min(self.tiles - first);
            let mut column = 0;
            while column + 2 * S::F32_LANES <= self.filters.width {
                if wide && tiles == BLOCK {
                    self.pair::<BLOCK, S>(s, first, column);
                } else {
                    // what is beyond the last tile is computed in vain
                    (0..tiles).step_by(4).for_each(|tile| self.pair::<4, S>(s, first + tile, column));
                }
                column += 2 * S::F32_LANES;
            }
            if column < self.filters.width {
                if wide && tiles == BLOCK {
                    self.single::<BLOCK, S>(s, first, column);
                } else {
                    (0..tiles).step_by(4).for_each(|tile| self.single::<4, S>(s, first + tile, column));
                }
            }
        }
    }
}

impl<const IN: usize> Product<'_, IN> {
    /// R tiles, two vectors of channels. (One array of pairs would not stay in registers.)
    #[inline(always)]
    fn pair<const R: usize, S: Simd>(&mut self, s: S, tile: usize, column: usize) {
        let width = self.filters.width;
        let (mut left, mut right) = ([s.splat_f32s(0.0); R], [s.splat_f32s(0.0); R]);
        for group in 0..self.from.groups {
            let rows = self.rows::<R>(tile, group);
            let filters = &self.filters.values[group * GROUP * width..][..GROUP * width];
            for channel in 0..GROUP {
                let b = S::as_simd_f32s(&filters[channel * width + column..][..2 * S::F32_LANES]).0;
                let (b_left, b_right) = (b[0], b[1]);
                for r in 0..R {
                    let factor = s.splat_f32s(rows[r][channel]);
                    left[r] = s.mul_add_f32s(factor, b_left, left[r]);
                    right[r] = s.mul_add_f32s(factor, b_right, right[r]);
                }
            }
        }
        self.write::<R, S>(tile, column, left);
        self.write::<R, S>(tile, column + S::F32_LANES, right);
    }

    /// R tiles, one vector of channels.
    #[inline(always)]
    fn single<const R: usize, S: Simd>(&mut self, s: S, tile: usize, column: usize) {
        let width = self.filters.width;
        let mut sums = [s.splat_f32s(0.0); R];
        for group in 0..self.from.groups {
            let rows = self.rows::<R>(tile, group);
            let filters = &self.filters.values[group * GROUP * width..][..GROUP * width];
            for channel in 0..GROUP {
                let b = S::as_simd_f32s(&filters[channel * width + column..][..S::F32_LANES]).0[0];
                for r in 0..R {
                    sums[r] = s.mul_add_f32s(s.splat_f32s(rows[r][channel]), b, sums[r]);
                }
            }
        }
        self.write::<R, S>(tile, column, sums);
    }

    /// A group's channels of R tiles of a block.
    #[inline(always)]
    fn rows<const R: usize>(&self, tile: usize, group: usize) -> &[[f32; GROUP]; R] {
        let rows = &self.inputs[self.from.at(tile, group, self.element)..][..R * GROUP];
        rows.as_chunks().0.try_into().expect("there are R rows")
    }

    #[inline(always)]
    fn write<const R: usize, S: Simd>(&mut self, tile: usize, column: usize, sums: [S::f32s; R]) {
        let start = self.to.at(tile, (self.filters.first + column) / GROUP, self.element);
        let to = &mut self.products[start..][..R * GROUP];
        for r in 0..R {
            S::as_mut_simd_f32s(&mut to[r * GROUP + column % GROUP..][..S::F32_LANES]).0[0] = sums[r];
        }
    }
}
