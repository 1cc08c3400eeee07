//! The transform of filters, and its adjoint.
#![expect(unsafe_code, reason = "`both_sides!` fills an array after it is made")]

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};

use super::tile::{Tile, both_sides, filter, filter_adjoint, load, store};
use crate::conv::blocked::{FilterPanels, GROUP, PanelMut};
use crate::conv::method::place_of_filter;

/// Rows and columns of a filter.
const SIDE: usize = 3;
/// Elements of a filter.
pub(super) const TAPS: usize = SIDE * SIDE;

/// Lays out G g Gᵀ of the filters of weights, `[out_channels, in_channels, TAPS]`, over all threads; those of the gradient of the
/// input are `turned` by half a turn, from outputs to inputs.
pub(super) fn pack<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    panels: &mut FilterPanels,
    weight: &[f32],
    channels: [usize; 2],
    turned: bool,
) {
    panels.fill(|panel| {
        Arch::new().dispatch(TransformFilters { weight, turned, channels, panel, tile: PhantomData::<F> });
    });
}

/// Fills a panel.
struct TransformFilters<'a, const IN: usize, const OUT: usize, F> {
    weight: &'a [f32],
    turned: bool,
    /// From and to.
    channels: [usize; 2],
    panel: PanelMut<'a>,
    tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> WithSimd for TransformFilters<'_, IN, OUT, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { weight, turned, channels, panel, .. } = self;
        let [from_channels, to_channels] = channels;
        let PanelMut { first, width, rows, .. } = panel;
        for column in (0..width).step_by(S::F32_LANES) {
            let to = first + column;
            let lanes = if to < to_channels { S::F32_LANES.min(to_channels - to) } else { 0 };
            for from in 0..rows {
                let mut taps = [[0.0f32; GROUP]; TAPS];
                if from < from_channels {
                    for lane in 0..lanes {
                        let place = place_of_filter(channels, from, to + lane, turned);
                        let filter = &weight[TAPS * place..][..TAPS];
                        for tap in 0..TAPS {
                            taps[tap][lane] = filter[if turned { TAPS - 1 - tap } else { tap }];
                        }
                    }
                }
                let mut g = [[s.splat_f32s(0.0); SIDE]; SIDE];
                for tap in 0..TAPS {
                    g[tap / SIDE][tap % SIDE] = load(s, &taps[tap], 0, S::F32_LANES);
                }
                both_sides!(s, i => g[i], SIDE, IN, |s, g| filter(s, &F::FILTER, g), (column_of_tile, line) => {
                    for row in 0..IN {
                        let at = panel.at(row * IN + column_of_tile, from) + column;
                        store(s, line[row], panel.values, at, S::F32_LANES);
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
            let mut taps = [[0.0f32; GROUP]; TAPS];
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
