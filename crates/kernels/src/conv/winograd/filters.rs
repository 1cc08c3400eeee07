//! Transformed filters, and the adjoint of their transform.
#![expect(unsafe_code, reason = "`both_sides!` fills an array after it is made")]

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::layout::GROUP;
use super::tile::{MAX_LANES, Tile, both_sides, filter, filter_adjoint, load, store};
use crate::memory::Reused;

/// Elements of a filter.
const TAPS: usize = 9;
/// Output channels of a panel: two vectors of the widest kind.
const PANEL: usize = 2 * GROUP;

/// The filters of a point, G g Gᵀ, in panels of [`PANEL`] output channels, of which the last may have one group: in a panel,
/// for each element of a tile, `[from_channels, channels of the panel]`. Channels on both sides are filled up to whole groups
/// with zeros.
#[derive(Debug)]
pub(super) struct FilterPanels {
    from_channels: usize,
    to_channels: usize,
    elements: usize,
    values: Reused,
}

/// The filters of one element of a tile to the output channels of a panel, `[from_channels, width]`.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub(super) values: &'a [f32],
    /// The first output channel.
    pub(super) first: usize,
    pub(super) width: usize,
}

impl FilterPanels {
    pub(super) fn new(from_channels: usize, to_channels: usize, elements: usize) -> Self {
        let [from, to] = [from_channels, to_channels].map(|channels| channels.next_multiple_of(GROUP));
        let len = elements * (from * to + to.div_ceil(PANEL) * GROUP);
        Self { from_channels, to_channels, elements, values: Reused::new(len) }
    }

    /// Elements in memory.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    fn rows(&self) -> usize {
        self.from_channels.next_multiple_of(GROUP)
    }

    /// Elements of an element's part of a panel. The padding keeps the elements of a filter in different sets of the caches.
    fn element_len(&self, width: usize) -> usize {
        self.rows() * width + GROUP
    }

    pub(super) fn panels(&self, element: usize) -> impl Iterator<Item = Panel<'_>> {
        let panel_len = self.elements * self.element_len(PANEL);
        self.values.chunks(panel_len).enumerate().map(move |(index, panel)| {
            let width = width(panel.len(), self.elements, self.rows());
            let values = &panel[element * self.element_len(width)..][..self.rows() * width];
            Panel { values, first: index * PANEL, width }
        })
    }

    /// Transforms weights, `[out_channels, in_channels, TAPS]`, over all threads; those of the gradient of the input are
    /// `turned` by half a turn, from outputs to inputs.
    pub(super) fn pack<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
        &mut self,
        weight: &[f32],
        turned: bool,
    ) {
        let Self { from_channels, to_channels, elements, .. } = *self;
        let (rows, panel_len) = (self.rows(), elements * self.element_len(PANEL));
        self.values.par_chunks_mut(panel_len).enumerate().for_each(|(index, panel)| {
            let (width, first) = (width(panel.len(), elements, rows), index * PANEL);
            let channels = [from_channels, to_channels];
            let work = TransformFilters {
                weight,
                turned,
                channels,
                first,
                width,
                rows,
                panel,
                tile: PhantomData::<F>,
            };
            Arch::new().dispatch(work);
        });
    }
}

/// The width of a panel of `len` elements.
fn width(len: usize, elements: usize, rows: usize) -> usize {
    (len / elements - GROUP) / rows
}

/// A panel of [`FilterPanels`].
struct TransformFilters<'a, const IN: usize, const OUT: usize, F> {
    weight: &'a [f32],
    turned: bool,
    channels: [usize; 2],
    first: usize,
    width: usize,
    rows: usize,
    panel: &'a mut [f32],
    tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> WithSimd for TransformFilters<'_, IN, OUT, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self {
            weight, turned, channels: [from_channels, to_channels], first, width, rows, panel, ..
        } = self;
        let element_len = rows * width + GROUP;
        for column in (0..width).step_by(S::F32_LANES) {
            let to = first + column;
            let lanes = if to < to_channels { S::F32_LANES.min(to_channels - to) } else { 0 };
            for from in 0..rows {
                let mut taps = [[0.0f32; MAX_LANES]; TAPS];
                if from < from_channels {
                    for lane in 0..lanes {
                        let to = to + lane;
                        let place = if turned { from * to_channels + to } else { to * from_channels + from };
                        let filter = &weight[TAPS * place..][..TAPS];
                        for tap in 0..TAPS {
                            taps[tap][lane] = filter[if turned { TAPS - 1 - tap } else { tap }];
                        }
                    }
                }
                let mut g = [[s.splat_f32s(0.0); 3]; 3];
                for tap in 0..TAPS {
                    g[tap / 3][tap % 3] = load(s, &taps[tap], 0, S::F32_LANES);
                }
                const SIDE: usize = 3;
                both_sides!(s, i => g[i], SIDE, IN, |s, g| filter(s, &F::FILTER, g), (column_of_tile, line) => {
                    for row in 0..IN {
                        let at = (row * IN + column_of_tile) * element_len + from * width + column;
                        store(s, line[row], panel, at, S::F32_LANES);
                    }
                });
            }
        }
    }
}

/// Filters of one output channel += Gᵀ u G.
pub(super) struct FilterGradient<'a, const IN: usize, const OUT: usize, F> {
    /// u: a plane for each element of a tile.
    pub(super) planes: &'a [f32],
    pub(super) plane_len: usize,
    /// Where the channel's row begins in each plane.
    pub(super) start: usize,
    pub(super) from_channels: usize,
    pub(super) filters: &'a mut [f32],
    pub(super) tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> WithSimd for FilterGradient<'_, IN, OUT, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        const SIDE: usize = 3;
        let Self { planes, plane_len, start, from_channels, filters, .. } = self;
        for channel in (0..from_channels).step_by(S::F32_LANES) {
            let lanes = S::F32_LANES.min(from_channels - channel);
            let mut u = [[s.splat_f32s(0.0); IN]; IN];
            for row in 0..IN {
                for column in 0..IN {
                    let at = (row * IN + column) * plane_len + start + channel;
                    u[row][column] = load(s, planes, at, S::F32_LANES);
                }
            }
            let mut taps = [[0.0f32; MAX_LANES]; TAPS];
            both_sides!(s, i => u[i], IN, SIDE, |s, u| filter_adjoint(s, &F::FILTER, u), (column, line) => {
                for row in 0..SIDE {
                    store(s, line[row], &mut taps[row * SIDE + column], 0, S::F32_LANES);
                }
            });
            let filters = filters[channel * TAPS..][..lanes * TAPS].as_chunks_mut::<TAPS>().0;
            for (lane, filter) in filters.iter_mut().enumerate() {
                for tap in 0..TAPS {
                    filter[tap] += taps[tap][lane];
                }
            }
        }
    }
}
