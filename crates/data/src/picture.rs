//! PNG and JPEG files to bytes, `[channels, height, width]`.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageReader, Limits};

use crate::DataError;

/// Largest side of an image.
const MAX_SIDE: u32 = 4096;
/// Most memory a decoder may take.
const MAX_MEMORY: u64 = 256 << 20;

/// The channels an image is decoded to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// One: brightness.
    Gray,
    /// Three.
    Rgb,
}

/// A decoded image.
pub(crate) struct Picture {
    /// Height and width.
    pub(crate) size: [usize; 2],
    /// One plane for gray, three for color.
    pub(crate) planes: Vec<u8>,
}

/// Decodes a file's bytes, whose format is recognized by the bytes, not by the name. As [`Color::Rgb`] a gray picture gives
/// three equal planes, as [`Color::Gray`] a colored one gives its brightness.
pub(crate) fn decode(file: &Path, bytes: &[u8], color: Color) -> Result<Picture, DataError> {
    let failed =
        |error: &dyn std::fmt::Display| DataError::Image { file: file.into(), message: error.to_string() };
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| failed(&error))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| failed(&error))?;
    Ok(planes(&image, color))
}

fn planes(image: &DynamicImage, color: Color) -> Picture {
    let size = [image.height() as usize, image.width() as usize];
    if color == Color::Gray {
        return Picture { size, planes: image.to_luma8().into_raw() };
    }
    let pixels = image.to_rgb8().into_raw();
    let planes = (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()).collect();
    Picture { size, planes }
}

/// Whether a file's name is a picture's.
pub(crate) fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["png", "jpg", "jpeg"].contains(&extension.to_ascii_lowercase().as_str())
}

#[cfg(test)]
pub(crate) mod tests {
    use image::{ImageFormat, Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    /// A PNG of one color.
    pub(crate) fn png(width: u32, height: u32, color: [u8; 3]) -> Vec<u8> {
        let mut bytes = Cursor::new(vec![]);
        RgbImage::from_pixel(width, height, Rgb(color)).write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn color_and_gray_are_decoded_as_asked() {
        let picture = decode(Path::new("a"), &png(3, 2, [10, 20, 30]), Color::Rgb).unwrap();
        assert_eq!(picture.size, [2, 3]);
        assert_eq!(picture.planes, [[10; 6], [20; 6], [30; 6]].concat());
        let gray = decode(Path::new("a"), &png(1, 1, [40, 40, 40]), Color::Gray).unwrap();
        assert_eq!(gray.planes, [40]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), flip in 0usize..70, jpeg: bool) {
            let _ = decode(Path::new("a"), &bytes, Color::Rgb);
            let mut good = if jpeg {
                let mut bytes = Cursor::new(vec![]);
                RgbImage::from_pixel(8, 8, Rgb([1, 2, 3])).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
                bytes.into_inner()
            } else {
                png(4, 4, [1, 2, 3])
            };
            let at = flip % good.len();
            good[at] ^= 0x41;
            let _ = decode(Path::new("a"), &good, Color::Rgb);
        }
    }
}
