//! Filters, laid out for products with tiles.

use std::ops::Range;

use rayon::prelude::*;

use super::layout::GROUP;
use crate::memory::Reused;

/// Output channels of a panel: two vectors of the widest kind.
const PANEL: usize = 2 * GROUP;

/// Filters in panels of [`PANEL`] output channels, of which the last may have one group: in a panel, for each element of the
/// filters, `[from_channels, channels of the panel]`. Channels on both sides are filled up to whole groups.
#[derive(Debug)]
pub(in crate::conv) struct FilterPanels {
    rows: usize,
    elements: usize,
    values: Reused,
}

/// A panel to be filled.
pub(in crate::conv) struct PanelMut<'a> {
    pub(in crate::conv) values: &'a mut [f32],
    /// The first output channel.
    pub(in crate::conv) first: usize,
    pub(in crate::conv) width: usize,
    /// Input channels, filled up.
    pub(in crate::conv) rows: usize,
}

impl PanelMut<'_> {
    /// Where an element's row for an input channel begins.
    #[inline(always)]
    pub(in crate::conv) fn at(&self, element: usize, from: usize) -> usize {
        element * element_len(self.rows, self.width) + from * self.width
    }
}

/// Elements of a part of a panel. The padding keeps the elements of a filter in different sets of the caches.
fn element_len(rows: usize, width: usize) -> usize {
    rows * width + GROUP
}

/// The width of a panel of `len` elements in memory.
fn width(len: usize, elements: usize, rows: usize) -> usize {
    (len / elements - GROUP) / rows
}

impl FilterPanels {
    /// Room for filters of so many elements, of unspecified contents.
    pub(in crate::conv) fn new(from_channels: usize, to_channels: usize, elements: usize) -> Self {
        let [rows, to] = [from_channels, to_channels].map(|channels| channels.next_multiple_of(GROUP));
        let len = elements * (rows * to + to.div_ceil(PANEL) * GROUP);
        Self { rows, elements, values: Reused::new(len) }
    }

    /// Elements in memory.
    pub(in crate::conv) fn len(&self) -> usize {
        self.values.len()
    }

    fn panel_len(&self) -> usize {
        self.elements * element_len(self.rows, PANEL)
    }

    pub(in crate::conv) fn panels(&self) -> usize {
        self.values.len().div_ceil(self.panel_len())
    }

    /// The output channels of a panel, filled up.
    pub(in crate::conv) fn channels(&self, index: usize) -> Range<usize> {
        let len = (self.values.len() - index * self.panel_len()).min(self.panel_len());
        let first = index * PANEL;
        first..first + width(len, self.elements, self.rows)
    }

    /// One element of the filters to the output channels of a panel, `[from_channels, channels]`.
    pub(in crate::conv) fn panel(&self, index: usize, element: usize) -> &[f32] {
        let width = self.channels(index).len();
        let start = index * self.panel_len() + element * element_len(self.rows, width);
        &self.values[start..][..self.rows * width]
    }

    /// Fills every panel, over all threads.
    pub(in crate::conv) fn fill(&mut self, fill: impl Fn(PanelMut<'_>) + Sync) {
        let (rows, elements, panel_len) = (self.rows, self.elements, self.panel_len());
        self.values.par_chunks_mut(panel_len).enumerate().for_each(|(index, values)| {
            let width = width(values.len(), elements, rows);
            fill(PanelMut { values, first: index * PANEL, width, rows });
        });
    }
}
