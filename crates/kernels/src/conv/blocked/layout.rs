//! The layout of tiles for products with filters.

/// Number of channels in a group: one vector of the widest kind.
pub(in crate::conv) const GROUP: usize = 16;
/// Number of tiles in a block: as many rows of a product as leave registers for its operands if there are 32.
pub(in crate::conv) const BLOCK: usize = 12;

/// Tiles of some elements each, in blocks of [`BLOCK`]; in each, groups of [`GROUP`] channels; in each, the elements, for each of
/// which there are `[tiles of the block, channels of the group]`. So the operands of a product are contiguous, and a tile is
/// written to one neighborhood. The last block is filled up with arbitrary values, the last group with zeros.
#[derive(Clone, Copy, Debug)]
pub(in crate::conv) struct Layout {
    /// Groups of channels.
    pub(in crate::conv) groups: usize,
    group_len: usize,
    block_len: usize,
}

impl Layout {
    /// Tiles of this many elements. The padding of a group moves its lines to another set of the caches; without it, those of
    /// different groups would evict each other. That of a block moves its lines behind those of the one before.
    pub(in crate::conv) fn new(channels: usize, elements: usize) -> Self {
        const SETS: usize = 64;
        let groups = channels.div_ceil(GROUP);
        let group_len = (elements * BLOCK + 1) * GROUP;
        let lines = groups * group_len / GROUP;
        let block_len = (lines + (SETS + BLOCK - lines % SETS) % SETS) * GROUP;
        Self { groups, group_len, block_len }
    }

    /// Channels of all groups.
    pub(in crate::conv) fn channels(self) -> usize {
        self.groups * GROUP
    }

    /// Elements that some tiles take.
    pub(in crate::conv) fn len(self, tiles: usize) -> usize {
        tiles.div_ceil(BLOCK) * self.block_len
    }

    /// Where an element of a tile's group begins; that of the block's next tile follows it.
    #[inline(always)]
    pub(in crate::conv) fn at(self, tile: usize, group: usize, element: usize) -> usize {
        tile / BLOCK * self.block_len + group * self.group_len + (element * BLOCK + tile % BLOCK) * GROUP
    }
}
