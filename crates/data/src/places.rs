//! Images of a set by index.

use std::ops::Range;

/// Images of a set by their index in the official order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Places {
    Range(Range<usize>),
    /// In the official order.
    List(Vec<usize>),
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::List(list) => list.len(),
        }
    }

    pub(crate) fn at(&self, index: usize) -> usize {
        match self {
            Self::Range(range) => range.start + index,
            Self::List(list) => list[index],
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Those of `total` images that are not among these.
    pub(crate) fn others(&self, total: usize) -> Self {
        match self {
            Self::Range(range) if range.start == 0 => Self::Range(range.end..total),
            Self::Range(range) if range.end == total => Self::Range(0..range.start),
            _ => {
                let mut is_taken = vec![false; total];
                self.iter().for_each(|image| is_taken[image] = true);
                Self::List((0..total).filter(|&image| !is_taken[image]).collect())
            }
        }
    }
}
