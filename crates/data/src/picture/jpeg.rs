//! Strict JPEG decoding: a truncated file or damaged codes are an error. Browser decoders and `image` show what they can of such
//! a file and fill the rest with gray.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::pixels::{MAX_SIDE, Pixels, too_large};

/// The pixels as stored, ignoring the EXIF orientation, or what is wrong with the file.
pub(super) fn decode(bytes: &[u8]) -> Result<Pixels, String> {
    if !is_complete(bytes) {
        return Err("it is truncated: the file ends before its end-of-image marker".into());
    }
    // the message of the decoder's own limits lacks the size
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    if width.max(height) > MAX_SIDE {
        return Err(too_large(width, height));
    }
    let colors = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => 1,
        Some(ColorSpace::RGB | ColorSpace::YCbCr) => 3,
        _ => return Err("its colors are neither gray nor RGB (CMYK, perhaps), expected gray or RGB".into()),
    };
    let colorspace = if colors == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(colorspace));
    let values = decoder.decode().map_err(|error| error.to_string())?;
    if values.len() != width * height * colors {
        return Err(format!("it has {} values, expected {width} x {height} x {colors}", values.len()));
    }
    Ok(Pixels { size: [height, width], colors, values })
}

/// Whether the image data are followed by the end-of-image marker, which a truncated file lacks.
fn is_complete(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // skip fill bytes up to the next marker
        let Some(start) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) else {
            return false;
        };
        at += start;
        let Some(fill) = bytes[at..].iter().position(|&byte| byte != 0xff) else { return false };
        at += fill + 1;
        match bytes[at - 1] {
            0xd9 => return true,
            // a byte 0xff of the data, and markers without a segment
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            // segments with a length; the data after a scan segment are searched for the next marker
            _ => match bytes.get(at..at + 2) {
                Some(&[high, low]) => at += usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, Luma, Rgb, RgbImage};

    use super::*;

    /// An image that does not compress well.
    fn noisy(side: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(vec![]);
        let value = |x: u32, y: u32| (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) as u8;
        let image = RgbImage::from_fn(side, side, |x, y| Rgb([value(x, y), value(y, x), value(x + 7, y)]));
        image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn no_cut_is_taken_for_a_whole_picture() {
        let whole = noisy(24);
        assert_eq!(decode(&whole).unwrap().size, [24, 24]);
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "cut after {end} of {} bytes", whole.len());
        }
        // data after the image do not matter
        assert_eq!(decode(&[&whole[..], b"more"].concat()).unwrap(), decode(&whole).unwrap());
    }

    #[test]
    fn a_thumbnail_is_not_taken_for_the_end() {
        let whole = noisy(24);
        let thumbnail = noisy(8);
        let length = (thumbnail.len() as u16 + 2).to_be_bytes();
        let segment = [&[0xff, 0xe2], &length[..], &thumbnail[..]].concat();
        let with = [&whole[..2], &segment[..], &whole[2..]].concat();
        assert_eq!(decode(&with).unwrap(), decode(&whole).unwrap());
        let message = decode(&with[..with.len() - 40]).unwrap_err();
        assert!(message.contains("truncated"), "{message}");
    }

    #[test]
    fn the_orientation_in_exif_is_ignored() {
        let mut bytes = Cursor::new(vec![]);
        let image = image::GrayImage::from_fn(16, 8, |x, _| Luma([if x < 8 { 200 } else { 0 }]));
        image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let plain = bytes.into_inner();
        // TIFF header, one entry: orientation (0x0112), a short, 6: rotate by 90 degrees
        let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let length = (exif.len() as u16 + 2).to_be_bytes();
        let turned = [&plain[..2], &[0xff, 0xe1], &length, &exif[..], &plain[2..]].concat();
        let pixels = decode(&turned).unwrap();
        assert_eq!((pixels.size, pixels.colors), ([8, 16], 1));
        assert!(pixels.values[0] > 190 && pixels.values[15] < 10, "{:?}", &pixels.values[..16]);
        assert_eq!(pixels, decode(&plain).unwrap());
    }
}
