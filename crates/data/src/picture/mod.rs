//! Decodes image files (PNG, JPEG, BMP) to bytes, `[channels, height, width]`. Values are those of Pillow's `convert("RGB")` and
//! `convert("L")`, and the EXIF orientation is ignored, as in torchvision's `ImageFolder`.

mod jpeg;
mod pixels;

use std::io::Cursor;
use std::path::Path;

use image::codecs::bmp::BmpDecoder;
use image::codecs::png::PngDecoder;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, Limits};

use self::pixels::{MAX_SIDE, Pixels, too_large};
use crate::DataError;
use crate::formats::{Format, Guess, guess};

/// Memory limit of a decoder.
const MAX_MEMORY: u64 = 256 << 20;

/// The channels an image is decoded to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// One channel: brightness.
    Gray,
    /// Three channels.
    Rgb,
}

/// A decoded image.
pub(crate) struct Picture {
    /// Height and width.
    pub(crate) size: [usize; 2],
    /// One plane for gray, three for color.
    pub(crate) planes: Vec<u8>,
}

/// Decodes a file's bytes, whose format is recognized by the bytes, not by the name. With [`Color::Rgb`], a gray image gives
/// three equal planes; with [`Color::Gray`], a color image gives its [`luma`]. Transparency is dropped.
pub(crate) fn decode(file: &Path, bytes: &[u8], color: Color) -> Result<Picture, DataError> {
    let failed = |message: String| DataError::Image { file: file.into(), message };
    let pixels = match guess(bytes) {
        Guess::Supported(Format::Jpeg) => jpeg::decode(bytes),
        Guess::Supported(Format::Png) => {
            PngDecoder::new(Cursor::new(bytes)).map_err(|error| error.to_string()).and_then(read)
        }
        Guess::Supported(Format::Bmp) => {
            BmpDecoder::new(Cursor::new(bytes)).map_err(|error| error.to_string()).and_then(read)
        }
        Guess::Named(format) => {
            let found = format!("a {format} file");
            return Err(DataError::PictureFormat { file: file.into(), found });
        }
        Guess::Unknown if bytes.is_empty() => {
            return Err(DataError::PictureFormat { file: file.into(), found: "an empty file".into() });
        }
        Guess::Unknown => {
            let found =
                format!("not an image (it starts with the bytes {:02x?})", &bytes[..bytes.len().min(4)]);
            return Err(DataError::PictureFormat { file: file.into(), found });
        }
    };
    pixels.map(|pixels| planes(&pixels, color)).map_err(failed)
}

/// Reads the pixels of a decoder of `image`.
fn read(mut decoder: impl ImageDecoder) -> Result<Pixels, String> {
    let (width, height) = decoder.dimensions();
    let size = [height as usize, width as usize];
    if size[0].max(size[1]) > MAX_SIDE {
        return Err(too_large(size[1], size[0]));
    }
    if decoder.original_color_type() == ExtendedColorType::L16 {
        return Err("it is gray with 16 bits, which Pillow turns white, expected 8 bits".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    decoder.set_limits(limits).map_err(|error| error.to_string())?;
    let image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    // Pillow uses the upper 8 of 16 bits
    let high = |values: Vec<u16>| values.into_iter().map(|value| (value >> 8) as u8).collect();
    let (channels, values): (usize, Vec<u8>) = match image {
        DynamicImage::ImageLuma8(image) => (1, image.into_raw()),
        DynamicImage::ImageLumaA8(image) => (2, image.into_raw()),
        DynamicImage::ImageRgb8(image) => (3, image.into_raw()),
        DynamicImage::ImageRgba8(image) => (4, image.into_raw()),
        DynamicImage::ImageLumaA16(image) => (2, high(image.into_raw())),
        DynamicImage::ImageRgb16(image) => (3, high(image.into_raw())),
        DynamicImage::ImageRgba16(image) => (4, high(image.into_raw())),
        other => return Err(format!("its pixels are {:?}, expected 8 or 16 bits", other.color())),
    };
    let colors = if channels < 3 { 1 } else { 3 };
    let values = if channels == colors {
        values
    } else {
        values.chunks_exact(channels).flat_map(|pixel| &pixel[..colors]).copied().collect()
    };
    Ok(Pixels { size, colors, values })
}

fn planes(pixels: &Pixels, color: Color) -> Picture {
    let Pixels { size, colors, values } = pixels;
    let planes = match (color, colors) {
        (Color::Gray, 1) => values.clone(),
        (Color::Gray, _) => values.chunks_exact(3).map(|rgb| luma([rgb[0], rgb[1], rgb[2]])).collect(),
        (Color::Rgb, 1) => values.repeat(3),
        (Color::Rgb, _) => {
            (0..3).flat_map(|channel| values.iter().skip(channel).step_by(3).copied()).collect()
        }
    };
    Picture { size: *size, planes }
}

/// Brightness of a color by ITU-R Rec. 601, L = .299 R + .587 G + .114 B, in Pillow's integers.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    // the factors add up to 1 << 16
    ((sum + 0x8000) >> 16) as u8
}

#[cfg(test)]
pub(crate) mod tests;
