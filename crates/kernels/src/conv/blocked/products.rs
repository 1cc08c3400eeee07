//! Products of tiles and filters, with the sums in registers. Filters are laid out for them once, and tiles are written where
//! they are read, so nothing is packed; gemm packs both for every product.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::layout::{BLOCK, GROUP, Layout};

/// One element of the products: the sum of elements of the inputs, each times a panel of filters.
pub(in crate::conv) struct Product<'a> {
    pub(in crate::conv) tiles: usize,
    pub(in crate::conv) from: Layout,
    pub(in crate::conv) inputs: &'a [f32],
    /// The inputs' elements, with their filters to `channels`.
    pub(in crate::conv) terms: &'a [(usize, &'a [f32])],
    pub(in crate::conv) to: Layout,
    pub(in crate::conv) channels: Range<usize>,
    pub(in crate::conv) products: &'a mut [f32],
    /// The products' element.
    pub(in crate::conv) element: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        // as many sums as leave registers for their operands, with 32 or 16 registers
        let wide = S::F32_LANES >= 16;
        let width = self.channels.len();
        let mut column = 0;
        // a run of tiles lies within a block
        const { assert!(BLOCK.is_multiple_of(12)) };
        while column + 2 * S::F32_LANES <= width {
            in_runs!([12; 4], wide, tile..self.tiles, self.pair(s, tile, column));
            column += 2 * S::F32_LANES;
        }
        if column < width {
            in_runs!([12; 4], wide, tile..self.tiles, self.single(s, tile, column));
        }
    }
}

impl Product<'_> {
    /// R tiles, two vectors of channels. (One array of pairs would not stay in registers.)
    #[inline(always)]
    fn pair<const R: usize, S: Simd>(&mut self, s: S, tile: usize, column: usize) {
        let width = self.channels.len();
        let (mut left, mut right) = ([s.splat_f32s(0.0); R], [s.splat_f32s(0.0); R]);
        for &(element, values) in self.terms {
            for group in 0..self.from.groups {
                let rows = self.rows::<R>(tile, group, element);
                let filters = &values[group * GROUP * width..][..GROUP * width];
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
        }
        self.write::<R, S>(tile, column, left);
        self.write::<R, S>(tile, column + S::F32_LANES, right);
    }

    /// R tiles, one vector of channels.
    #[inline(always)]
    fn single<const R: usize, S: Simd>(&mut self, s: S, tile: usize, column: usize) {
        let width = self.channels.len();
        let mut sums = [s.splat_f32s(0.0); R];
        for &(element, values) in self.terms {
            for group in 0..self.from.groups {
                let rows = self.rows::<R>(tile, group, element);
                let filters = &values[group * GROUP * width..][..GROUP * width];
                for channel in 0..GROUP {
                    let b = S::as_simd_f32s(&filters[channel * width + column..][..S::F32_LANES]).0[0];
                    for r in 0..R {
                        sums[r] = s.mul_add_f32s(s.splat_f32s(rows[r][channel]), b, sums[r]);
                    }
                }
            }
        }
        self.write::<R, S>(tile, column, sums);
    }

    /// A group's channels of R tiles of a block.
    #[inline(always)]
    fn rows<const R: usize>(&self, tile: usize, group: usize, element: usize) -> &[[f32; GROUP]; R] {
        let rows = &self.inputs[self.from.at(tile, group, element)..][..R * GROUP];
        rows.as_chunks().0.try_into().expect("there are R rows")
    }

    #[inline(always)]
    fn write<const R: usize, S: Simd>(&mut self, tile: usize, column: usize, sums: [S::f32s; R]) {
        let start = self.to.at(tile, (self.channels.start + column) / GROUP, self.element);
        let to = &mut self.products[start..][..R * GROUP];
        for r in 0..R {
            S::as_mut_simd_f32s(&mut to[r * GROUP + column % GROUP..][..S::F32_LANES]).0[0] = sums[r];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::blocked::FilterPanels;
    use crate::test_support::{for_every_width, noise, norm_error};

    #[test]
    fn products_agree_with_f64_for_vectors_of_any_width() {
        for [tiles, inner, columns] in [[29, 16, 16], [12, 33, 48], [7, 64, 32], [5, 66, 112]] {
            // the first element of the products is input 0 times filter 1 plus input 2 times filter 0
            let (x, w) = (noise(1, 3 * tiles * inner), noise(2, 2 * inner * columns));
            let (from, to) = (Layout::new(inner, 3), Layout::new(columns, 2));
            let mut inputs = vec![0.0; from.len(tiles)];
            for (index, &value) in x.iter().enumerate() {
                let (element, tile, channel) = (index / inner % 3, index / inner / 3, index % inner);
                inputs[from.at(tile, channel / GROUP, element) + channel % GROUP] = value;
            }
            let mut panels = FilterPanels::new(inner, columns, 2);
            panels.fill(|panel| {
                panel.values.fill(0.0);
                for (index, &value) in w.iter().enumerate() {
                    let (element, row, column) =
                        (index / columns / inner, index / columns % inner, index % columns);
                    if (panel.first..panel.first + panel.width).contains(&column) {
                        let at = panel.at(element, row) + column - panel.first;
                        panel.values[at] = value;
                    }
                }
            });
            let exact = |tile: usize, column: usize| -> f64 {
                let term = |element: usize, filter: usize, k: usize| {
                    f64::from(x[(tile * 3 + element) * inner + k])
                        * f64::from(w[(filter * inner + k) * columns + column])
                };
                (0..inner).map(|k| term(0, 1, k) + term(2, 0, k)).sum()
            };
            let expected: Vec<f64> = (0..tiles * columns).map(|i| exact(i / columns, i % columns)).collect();
            for_every_width!(run => {
                let mut products = vec![f32::NAN; to.len(tiles)];
                for panel in 0..panels.panels() {
                    let terms = &[(0, panels.panel(panel, 1)), (2, panels.panel(panel, 0))];
                    let (channels, inputs, products) = (panels.channels(panel), &inputs, &mut products);
                    run!(Product { tiles, from, inputs, terms, to, channels, products, element: 0 });
                }
                let found = |i: usize| {
                    let (tile, column) = (i / columns, i % columns);
                    products[to.at(tile, column / GROUP, 0) + column % GROUP]
                };
                assert!(norm_error(&(0..tiles * columns).map(found).collect::<Vec<f32>>(), &expected) < 1e-6);
            });
        }
    }
}
