//! The output of decoders.

/// Maximum side length of an image.
pub(super) const MAX_SIDE: usize = 4096;

/// A file's pixels without transparency, row by row, with interleaved colors.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    /// Height and width.
    pub(super) size: [usize; 2],
    /// 1 for gray, 3 for color.
    pub(super) colors: usize,
    pub(super) values: Vec<u8>,
}

/// The error message for an image with a side above [`MAX_SIDE`].
pub(super) fn too_large(width: usize, height: usize) -> String {
    format!("it is {width}x{height}, expected sides of at most {MAX_SIDE}")
}
