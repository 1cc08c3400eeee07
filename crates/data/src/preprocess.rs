//! From bytes to a network's inputs.

use multiversion::multiversion;

use crate::Images;

/// x = (byte / max - mean) / std per channel, as one multiplication and one addition in f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// Mean of each channel, after scaling to [0, 1].
    pub mean: Vec<f32>,
    /// Deviation of each channel, after scaling to [0, 1].
    pub std: Vec<f32>,
}

impl Preprocess {
    /// Writes `images[index]` into `out`.
    ///
    /// # Panics
    /// If `out` is not one image long or the number of channels differs.
    pub fn apply(&self, images: &Images, index: usize, out: &mut [f32]) {
        let plane = images.shape[1] * images.shape[2];
        assert!(self.mean.len() == images.shape[0] && out.len() == images.image_len());
        let bytes = &images.pixels[index * out.len()..][..out.len()];
        let channels = bytes.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
        for ((bytes, out), (mean, std)) in channels.zip(self.mean.iter().zip(&self.std)) {
            affine(bytes, 1.0 / (f32::from(images.max) * std), -mean / std, out);
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

    #[test]
    fn channels_have_their_own_constants() {
        let images = Images {
            pixels: vec![0, 0, 0, 0, 0, 255, 51, 102],
            labels: vec![0, 1],
            shape: [2, 1, 2],
            classes: 2,
            max: 255,
        };
        let preprocess = Preprocess { mean: vec![0.5, 0.0], std: vec![1.0, 0.2] };
        let mut out = [0.0; 4];
        preprocess.apply(&images, 1, &mut out);
        let expected = [-0.5, 0.5, 1.0, 2.0];
        assert!(out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{out:?}");
    }
}
