//! Where tiles are kept, and their products with filters.

/// Channels of a group: a vector of the widest kind.
pub(in crate::conv) const GROUP: usize = 16;
/// Tiles of a block: as many rows of a product as leave registers for its operands, where there are 32.
pub(in crate::conv) const BLOCK: usize = 12;

/// Tiles of some elements each, in blocks of [`BLOCK`]; in each, groups of [`GROUP`] channels; in each, the elements, for each of
/// which there are `[tiles of the block, channels of the group]`. So the operands of a product are contiguous, and a tile is
/// written to one neighborhood. The last block is filled up with values of no meaning, the last group with zeros.
#[derive(Clone, Copy, Debug)]
pub(in crate::conv) struct Layout {
    /// Groups of channels.
    pub(in crate::conv) groups: usize,
    /// Elements of a tile.
    pub(in crate::conv) elements: usize,
}

impl Layout {
    pub(in crate::conv) fn new(channels: usize, elements: usize) -> Self {
        Self { groups: channels.div_ceil(GROUP), elements }
    }

    /// Channels of all groups.
    pub(in crate::conv) fn channels(self) -> usize {
        self.groups * GROUP
    }

    /// Elements of a group of a block. The padding moves each group's lines to another set of the caches; without it, they
    /// would evict each other.
    fn group_len(self) -> usize {
        (self.elements * BLOCK + 1) * GROUP
    }

    /// Elements of a block. The padding moves each block's lines behind those of the one before it in the sets of a cache.
    fn block_len(self) -> usize {
        const SETS: usize = 64;
        let lines = self.groups * self.group_len() / GROUP;
        (lines + (SETS + BLOCK - lines % SETS) % SETS) * GROUP
    }

    /// Elements that some tiles take.
    pub(in crate::conv) fn len(self, tiles: usize) -> usize {
        tiles.div_ceil(BLOCK) * self.block_len()
    }

    /// Where an element of a tile's group begins; that of the block's next tile follows it.
    #[inline(always)]
    pub(in crate::conv) fn at(self, tile: usize, group: usize, element: usize) -> usize {
        tile / BLOCK * self.block_len() + group * self.group_len() + (element * BLOCK + tile % BLOCK) * GROUP
    }
}
