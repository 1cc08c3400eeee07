//! Converts bytes to a network's inputs.

use multiversion::multiversion;

use crate::Images;
use crate::augment::Change;

/// x = (byte / max - mean) / std per channel, as one multiplication and one addition in f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// Mean of each channel, after scaling to [0, 1].
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, after scaling to [0, 1].
    pub std: Vec<f32>,
}

impl Preprocess {
    /// Mean and standard deviation of each channel over some of the images, summed exactly in integers; a standard deviation of 0
    /// is replaced by 1.
    pub fn measured(images: &Images, indices: impl Iterator<Item = usize>) -> Self {
        let [channels, height, width] = images.shape;
        let (mut sums, mut squares, mut count) = (vec![0u64; channels], vec![0u64; channels], 0u64);
        for index in indices {
            let bytes = &images.pixels[index * images.image_len()..][..images.image_len()];
            for (channel, plane) in bytes.chunks_exact(height * width).enumerate() {
                sums[channel] += plane.iter().map(|&byte| u64::from(byte)).sum::<u64>();
                squares[channel] += plane.iter().map(|&byte| u64::from(byte).pow(2)).sum::<u64>();
            }
            count += (height * width) as u64;
        }
        let (n, max) = (count.max(1) as f64, f64::from(images.max));
        let constants = sums.iter().zip(&squares).map(|(&sum, &square)| {
            let mean = sum as f64 / n;
            let std = (square as f64 / n - mean * mean).max(0.0).sqrt() / max;
            ((mean / max) as f32, if std > 0.0 { std as f32 } else { 1.0 })
        });
        let (mean, std) = constants.unzip();
        Self { mean, std }
    }

    /// Writes `images[index]`, changed by `change`, into `out`; a crop is black outside the image.
    ///
    /// # Panics
    /// If `out` is not one image long or the number of channels differs.
    pub(crate) fn apply(&self, images: &Images, index: usize, change: Change, out: &mut [f32]) {
        let [channels, height, width] = images.shape;
        let plane = height * width;
        assert!(self.mean.len() == channels && out.len() == images.image_len());
        let bytes = &images.pixels[index * out.len()..][..out.len()];
        let planes = bytes.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
        for ((bytes, out), (mean, std)) in planes.zip(self.mean.iter().zip(&self.std)) {
            let (factor, shift) = (1.0 / (f32::from(images.max) * std), -mean / std);
            if change == Change::default() {
                affine(bytes, factor, shift, out);
            } else {
                change.plane(bytes, width, out, shift, |bytes, out| affine(bytes, factor, shift, out));
            }
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw", "x86_64+avx2+fma"))]
fn affine(bytes: &[u8], factor: f32, shift: f32, out: &mut [f32]) {
    for (out, &byte) in out.iter_mut().zip(bytes) {
        *out = f32::from(byte) * factor + shift;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        Images {
            pixels: vec![0, 0, 0, 0, 0, 255, 51, 102],
            labels: vec![0, 1],
            shape: [2, 1, 2],
            classes: vec!["0".into(), "1".into()],
            max: 255,
            official: None,
            remarks: vec![],
        }
    }

    #[test]
    fn channels_have_their_own_constants() {
        let preprocess = Preprocess { mean: vec![0.5, 0.0], std: vec![1.0, 0.2] };
        let apply = |change| {
            let mut out = [0.0; 4];
            preprocess.apply(&images(), 1, change, &mut out);
            out
        };
        let close = |found: [f32; 4], expected: [f32; 4]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        };
        close(apply(Change::default()), [-0.5, 0.5, 1.0, 2.0]);
        close(apply(Change { shift: [0, 1], flip: true }), [-0.5, 0.5, 0.0, 2.0]);
    }

    #[test]
    fn constants_can_be_measured() {
        let measured = Preprocess::measured(&images(), [1].into_iter());
        let close =
            |found: &[f32], expected: [f32; 2]| found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(&measured.mean, [0.5, 0.3]) && close(&measured.std, [0.5, 0.1]), "{measured:?}");
        assert_eq!(Preprocess::measured(&images(), [0].into_iter()).std, [1.0, 1.0]);
    }
}
