//! Files written by the tests; expected values from Pillow's formulas.

use image::codecs::png::PngEncoder;
use image::{ImageEncoder, ImageFormat, Rgb, RgbImage};
use proptest::prelude::*;

use super::*;

/// A PNG of one color.
pub(crate) fn png(width: u32, height: u32, color: [u8; 3]) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    RgbImage::from_pixel(width, height, Rgb(color)).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A PNG of one row of pixels.
fn png_row(values: &[u8], bytes_per_pixel: usize, color: ExtendedColorType) -> Vec<u8> {
    let mut bytes = vec![];
    let width = (values.len() / bytes_per_pixel) as u32;
    PngEncoder::new(&mut bytes).write_image(values, width, 1, color).unwrap();
    bytes
}

/// A BMP of rows from the bottom up, padded to four bytes; `palette` has blue, green, red and a zero per color.
fn bmp(width: i32, height: i32, bits: u16, palette: &[u8], rows: &[u8]) -> Vec<u8> {
    let offset = 54 + palette.len() as u32;
    let mut bytes = b"BM".to_vec();
    bytes.extend((offset + rows.len() as u32).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(offset.to_le_bytes());
    bytes.extend(40u32.to_le_bytes());
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend([0; 16]);
    bytes.extend((palette.len() as u32 / 4).to_le_bytes());
    bytes.extend([0; 4]);
    [&bytes, palette, rows].concat()
}

fn planes_of(bytes: &[u8], color: Color) -> Vec<u8> {
    decode(Path::new("a.png"), bytes, color).unwrap().planes
}

fn refused(bytes: &[u8]) -> String {
    decode(Path::new("a.png"), bytes, Color::Rgb).err().unwrap().to_string()
}

#[test]
fn planes_lie_one_after_the_other() {
    let picture = decode(Path::new("a"), &png(3, 2, [10, 20, 30]), Color::Rgb).unwrap();
    assert_eq!(picture.size, [2, 3]);
    assert_eq!(picture.planes, [[10; 6], [20; 6], [30; 6]].concat());
    assert_eq!(planes_of(&png_row(&[7, 9], 1, ExtendedColorType::L8), Color::Rgb), [7, 9, 7, 9, 7, 9]);
}

/// The values are `np.asarray(Image.new("RGB", (1, 1), color).convert("L"))` of Pillow 13.
#[test]
fn brightness_is_pillows() {
    let colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [224, 172, 105], [40, 40, 40], [1, 2, 3]];
    let expected = [76, 150, 29, 180, 40, 2];
    assert_eq!(colors.map(luma), expected);
    let bytes = png_row(&colors.concat(), 3, ExtendedColorType::Rgb8);
    assert_eq!(planes_of(&bytes, Color::Gray), expected);
    // Rec. 601 in real numbers, rounded: at most one half of a step away, and its own factors are rounded to 16 bits
    for [red, green, blue] in (0..=255u8).step_by(5).map(|x| [x, x.wrapping_mul(7), x.wrapping_mul(13)]) {
        let exact = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
        let found = f64::from(luma([red, green, blue]));
        assert!((found - exact).abs() < 0.51, "{red} {green} {blue}: {found} for {exact}");
    }
}

#[test]
fn transparency_is_dropped() {
    let rgba = png_row(&[200, 100, 50, 0, 1, 2, 3, 128], 4, ExtendedColorType::Rgba8);
    assert_eq!(planes_of(&rgba, Color::Rgb), [200, 1, 100, 2, 50, 3]);
    assert_eq!(planes_of(&rgba, Color::Gray), [luma([200, 100, 50]), luma([1, 2, 3])]);
    let gray_alpha = png_row(&[200, 0, 7, 128], 2, ExtendedColorType::La8);
    assert_eq!(planes_of(&gray_alpha, Color::Gray), [200, 7]);
}

#[test]
fn of_sixteen_bits_the_higher_eight_count_and_gray_ones_are_refused() {
    // the encoder takes 16 bits in the machine's order
    let words = [0x80ffu16, 0x0100, 0xfe80].map(u16::to_ne_bytes).concat();
    assert_eq!(planes_of(&png_row(&words, 6, ExtendedColorType::Rgb16), Color::Rgb), [0x80, 0x01, 0xfe]);
    let message = refused(&png_row(&words, 2, ExtendedColorType::L16));
    assert!(
        message.contains("gray with 16 bits")
            && message.contains("expected 8 bits; replace, convert or remove it"),
        "{message}"
    );
}

#[test]
fn bmp_of_8_24_and_32_bits_is_read() {
    // two rows of two pixels; rows are stored from the bottom up
    let palette = [3, 2, 1, 0, 30, 20, 10, 0, 7, 7, 7, 0];
    let rows = [2, 1, 0, 0, 0, 1, 0, 0];
    let expected = [1, 10, 7, 10, 2, 20, 7, 20, 3, 30, 7, 30];
    let eight = bmp(2, 2, 8, &palette, &rows);
    assert_eq!(planes_of(&eight, Color::Rgb), expected);
    assert_eq!(planes_of(&eight, Color::Gray)[2], 7);
    let pixel = |index: u8| palette[4 * usize::from(index)..][..3].to_vec();
    let row24 = |a, b| [pixel(a), pixel(b), vec![0, 0]].concat();
    assert_eq!(planes_of(&bmp(2, 2, 24, &[], &[row24(2, 1), row24(0, 1)].concat()), Color::Rgb), expected);
    let row32 = |a, b| [pixel(a), vec![0], pixel(b), vec![255]].concat();
    assert_eq!(planes_of(&bmp(2, 2, 32, &[], &[row32(2, 1), row32(0, 1)].concat()), Color::Rgb), expected);
    // a negative height: from the top down
    assert_eq!(planes_of(&bmp(2, -2, 24, &[], &[row24(0, 1), row24(2, 1)].concat()), Color::Rgb), expected);
    for end in 0..eight.len() {
        assert!(decode(Path::new("a"), &eight[..end], Color::Rgb).is_err(), "cut after {end} bytes");
    }
}

#[test]
fn what_is_no_picture_is_named() {
    assert_eq!(refused(b""), "a.png: is an empty file, expected PNG, JPEG or BMP; convert or remove it");
    let webp = refused(b"RIFF\x24\0\0\0WEBPVP8 ");
    assert_eq!(webp, "a.png: is a WebP file, expected PNG, JPEG or BMP; convert or remove it");
    assert!(refused(b"<html>").contains("is not an image (it starts with the bytes [3c, 68, 74, 6d])"));
    let whole = png(9, 9, [1, 2, 3]);
    // up to the last chunk, which is empty
    for end in 1..whole.len() - 12 {
        assert!(decode(Path::new("a"), &whole[..end], Color::Rgb).is_err(), "cut after {end} bytes");
    }
    let wide = refused(&png(4097, 1, [0; 3]));
    assert!(wide.contains("it is 4097x1, expected sides of at most 4096"), "{wide}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), flip in 0usize..200, kind in 0..3) {
        let _ = decode(Path::new("a"), &bytes, Color::Rgb);
        let mut good = match kind {
            0 => png(4, 4, [1, 2, 3]),
            1 => bmp(2, 2, 24, &[], &[5; 16]),
            _ => {
                let mut bytes = Cursor::new(vec![]);
                RgbImage::from_pixel(8, 8, Rgb([1, 2, 3])).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
                bytes.into_inner()
            }
        };
        let at = flip % good.len();
        good[at] ^= 0x41;
        let _ = decode(Path::new("a"), &good, Color::Gray);
        let head = good.len() - bytes.len().min(good.len());
        good.truncate(head);
        good.extend(bytes);
        let _ = decode(Path::new("a"), &good, Color::Gray);
    }
}
