//! Where transformed tiles are kept, and their products with filters.

use super::tile::MAX_LANES;

/// Channels of a group: a vector of the widest kind.
pub(super) const GROUP: usize = MAX_LANES;
/// Tiles of a block: as many rows of a product as leave registers for its operands, where there are 32.
pub(super) const BLOCK: usize = 12;

/// Tiles in blocks of [`BLOCK`]; in each, groups of [`GROUP`] channels; in each, the IN² elements of a tile, for each of which
/// there are `[tiles of the block, channels of the group]`. So the operands of a product are contiguous, and a transform writes
/// to one neighborhood. The last block and the last group are filled up with values of no meaning and with zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<const IN: usize> {
    /// Groups of channels.
    pub(super) groups: usize,
}

impl<const IN: usize> Layout<IN> {
    pub(super) fn new(channels: usize) -> Self {
        Self { groups: channels.div_ceil(GROUP) }
    }

    /// Channels of all groups.
    pub(super) fn channels(self) -> usize {
        self.groups * GROUP
    }

    /// Elements of a group of a block. The padding moves each group's lines to another set of the caches; without it, they
    /// would evict each other.
    const fn group_len() -> usize {
        (IN * IN * BLOCK + 1) * GROUP
    }

    /// Elements of a block. The padding moves each block's lines behind those of the one before it in the sets of a cache.
    fn block_len(self) -> usize {
        const SETS: usize = 64;
        let lines = self.groups * Self::group_len() / GROUP;
        (lines + (SETS + BLOCK - lines % SETS) % SETS) * GROUP
    }

    /// Elements that some tiles take.
    pub(super) fn len(self, tiles: usize) -> usize {
        tiles.div_ceil(BLOCK) * self.block_len()
    }

    /// Where an element of a tile's group begins; that of the block's next tile follows it.
    #[inline(always)]
    pub(super) fn at(self, tile: usize, group: usize, element: usize) -> usize {
        tile / BLOCK * self.block_len() + group * Self::group_len() + (element * BLOCK + tile % BLOCK) * GROUP
    }
}
