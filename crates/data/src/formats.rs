//! Image formats: the supported ones, and others that are only named in messages.

use std::path::Path;

use image::ImageFormat;

/// The supported formats, as named in messages.
pub(crate) const SUPPORTED: &str = "PNG, JPEG or BMP";

/// A supported format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Jpeg,
    Bmp,
}

/// The format that a file's first bytes indicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    Supported(Format),
    /// A known but unsupported format.
    Named(&'static str),
    Unknown,
}

/// Extensions of supported formats, in lower case.
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "jpe", "jfif", "bmp"];

/// Extensions of unsupported image formats, in lower case.
const NOT_READ: [(&str, &str); 17] = [
    ("webp", "WebP"),
    ("gif", "GIF"),
    ("tif", "TIFF"),
    ("tiff", "TIFF"),
    ("avif", "AVIF"),
    ("heic", "HEIC"),
    ("heif", "HEIC"),
    ("jxl", "JPEG XL"),
    ("jp2", "JPEG 2000"),
    ("j2k", "JPEG 2000"),
    ("pgm", "PNM"),
    ("ppm", "PNM"),
    ("pbm", "PNM"),
    ("ico", "ICO"),
    ("tga", "TGA"),
    ("svg", "SVG"),
    ("psd", "PSD"),
];

/// A file's extension in lower case, empty if it has none.
fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Whether a file's name is that of an image in a supported format.
pub(crate) fn is_picture(path: &Path) -> bool {
    EXTENSIONS.contains(&extension(path).as_str())
}

/// The kind of a file that is not a supported image, by its extension: ".webp (WebP)", ".txt", "without an extension".
pub(crate) fn kind(path: &Path) -> String {
    let extension = extension(path);
    match NOT_READ.iter().find(|(known, _)| *known == extension) {
        Some((_, name)) => format!(".{extension} ({name})"),
        None if extension.is_empty() => "without an extension".into(),
        None => format!(".{}", extension.escape_debug()),
    }
}

/// The format of a file by its bytes, regardless of its name.
pub(crate) fn guess(bytes: &[u8]) -> Guess {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => Guess::Supported(Format::Png),
        Ok(ImageFormat::Jpeg) => Guess::Supported(Format::Jpeg),
        Ok(ImageFormat::Bmp) => Guess::Supported(Format::Bmp),
        Ok(ImageFormat::WebP) => Guess::Named("WebP"),
        Ok(ImageFormat::Gif) => Guess::Named("GIF"),
        Ok(ImageFormat::Tiff) => Guess::Named("TIFF"),
        Ok(ImageFormat::Avif) => Guess::Named("AVIF"),
        Ok(ImageFormat::Ico) => Guess::Named("ICO"),
        Ok(ImageFormat::Pnm) => Guess::Named("PNM"),
        _ => match bytes {
            [_, _, _, _, b'f', b't', b'y', b'p', b'h' | b'm', ..] => Guess::Named("HEIC"),
            [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] | [0xff, 0x0a, ..] => Guess::Named("JPEG XL"),
            [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] => Guess::Named("JPEG 2000"),
            _ => Guess::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_in_any_case() {
        for name in ["a.png", "a.PNG", "a.b.Jpg", "a.jpeg", "a.JPE", "a.jfif", "a.Bmp"] {
            assert!(is_picture(Path::new(name)), "{name}");
        }
        for name in ["png", ".png", "a.png.txt", "a.webp", "a.gif", "a.", "a"] {
            assert!(!is_picture(Path::new(name)), "{name}");
        }
        let kinds = ["a.WEBP", "a.tif", "notes.TXT", "README", "a."].map(|name| kind(Path::new(name)));
        assert_eq!(
            kinds,
            [".webp (WebP)", ".tif (TIFF)", ".txt", "without an extension", "without an extension"]
        );
    }

    #[test]
    fn bytes_are_told_apart_by_their_signatures() {
        let guesses: [(&[u8], Guess); 12] = [
            (b"\x89PNG\r\n\x1a\n", Guess::Supported(Format::Png)),
            (b"\xff\xd8\xff\xe0", Guess::Supported(Format::Jpeg)),
            (b"BM1234", Guess::Supported(Format::Bmp)),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Guess::Named("WebP")),
            (b"GIF89a", Guess::Named("GIF")),
            (b"II*\0", Guess::Named("TIFF")),
            (b"\0\0\0\x1cftypavif", Guess::Named("AVIF")),
            (b"\0\0\0\x18ftypheic", Guess::Named("HEIC")),
            (b"\0\0\0\x0cJXL \r\n", Guess::Named("JPEG XL")),
            (b"\0\0\0\x0cjP  \r\n", Guess::Named("JPEG 2000")),
            (b"", Guess::Unknown),
            (b"%PDF", Guess::Unknown),
        ];
        for (bytes, expected) in guesses {
            assert_eq!(guess(bytes), expected, "{bytes:?}");
        }
    }
}
