//! The order of an image's dimensions.

use walk_kernels::channel_order::{to_channels_first, to_channels_last};

/// The position of the channels among an image's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelOrder {
    /// `[channels, height, width]`, and vectors.
    ChannelsFirst,
    /// `[height, width, channels]`.
    ChannelsLast,
}

impl ChannelOrder {
    /// Writes images of the other order in this one.
    pub(super) fn convert(self, channels: usize, pixels: usize, from: &[f32], to: &mut [f32]) {
        match self {
            Self::ChannelsLast => to_channels_last(channels, pixels, from, to),
            Self::ChannelsFirst => to_channels_first(channels, pixels, from, to),
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::ChannelsLast => Self::ChannelsFirst,
            Self::ChannelsFirst => Self::ChannelsLast,
        }
    }
}

/// Channels and pixels of a value: a vector's elements are channels of one pixel.
pub(super) fn channels_and_pixels(shape: &[usize]) -> [usize; 2] {
    [shape[0], shape[1..].iter().product()]
}

/// Whether a value has the same elements in either order.
pub(super) fn is_in_either(shape: &[usize]) -> bool {
    channels_and_pixels(shape).contains(&1)
}
