//! The convolution algorithms, and the choice for a shape.

use super::ConvShape;
use super::direct::Direct;
use super::im2col::Columns;
use super::method::Method;
use super::taps::Taps;
use super::winograd::{F2, F4, Winograd};

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Every output's window as a row of a matrix; rounds like a plain sum.
    Columns,
    /// The definition, with the sums in registers; rounds like a plain sum. No groups.
    Direct,
    /// The definition, tap by tap, without the padding; rounds like a plain sum. No groups.
    Taps,
    /// Winograd's F(2x2, 3x3).
    Winograd2,
    /// Winograd's F(4x4, 3x3): fewest products, largest rounding error.
    Winograd4,
}

impl Algorithm {
    /// One that rounds like a plain sum.
    pub fn plain(shape: &ConvShape) -> Self {
        if shape.groups > 1 || shape.in_channels > 64 { Self::Columns } else { Self::Direct }
    }

    /// The fastest for a shape; [`Algorithm::Columns`] if only that one fits.
    pub fn fastest(shape: &ConvShape) -> Self {
        let square = shape.kernel == [3, 3] && shape.padding == [1, 1];
        let plain = shape.stride == [1, 1] && shape.dilation == [1, 1] && shape.groups == 1;
        // below 16 channels Winograd's transforms cost more than the products they save
        if !(square && plain) || shape.in_channels.min(shape.out_channels) < 16 {
            Self::plain(shape)
        } else if shape.input[0].max(shape.input[1]) <= 2 {
            Self::Taps
        } else if shape.input[0].min(shape.input[1]) > 2 {
            Self::Winograd4
        } else {
            Self::Winograd2
        }
    }

    pub(super) fn method(self) -> &'static dyn Method {
        match self {
            Self::Columns => &Columns,
            Self::Direct => &Direct,
            Self::Taps => &Taps,
            Self::Winograd2 => &Winograd::<4, 2, F2>::NEW,
            Self::Winograd4 => &Winograd::<6, 4, F4>::NEW,
        }
    }
}
