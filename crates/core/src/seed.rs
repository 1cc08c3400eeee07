//! Random streams without state: each is a function of the seed, the stream and its counters.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The experiment's seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

/// The purpose of a stream; streams never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    /// Initial values of the parameters.
    Init = 1,
    /// Order of the training samples.
    Order = 2,
    /// Dropout masks.
    Dropout = 3,
    /// Crops and flips of training samples.
    Augment = 4,
    /// Order of the samples of an evaluation that is not fixed.
    EvaluationOrder = 5,
    /// Crops and flips in such an evaluation.
    EvaluationAugment = 6,
    /// Order of the chunks of an adaptive interpolation.
    Interpolation = 7,
    /// Perturbations of parameters by the noise probe.
    NoiseRounding = 8,
    /// Order of the samples of a noise evaluation on the authors' data.
    NoiseOrder = 9,
    /// Crops and flips in such an evaluation.
    NoiseAugment = 10,
    /// Batches of the alignment probe.
    Alignment = 11,
    /// Batches of the covariance probe.
    Covariance = 12,
    /// Vectors of the spectrum probe's trace and density.
    Spectrum = 13,
    /// Directions of the plane probe.
    Plane = 14,
    /// Starts of the spectrum probe's search for the largest eigenvalues.
    SpectrumStart = 15,
    /// Selection of adaptive verdicts to audit.
    InterpolationAudit = 16,
    /// Crops and flips shared by the evaluations of an epoch.
    CommonAugment = 17,
    /// Points, samples and directions of the self-check.
    SelfCheck = 18,
    /// Seeds of the connectivity probe's twins.
    Twin = 19,
}

impl Seed {
    /// The generator of `stream` at up to three counters, such as epoch and iteration; missing ones are 0. Equal arguments
    /// give equal numbers on every machine.
    pub fn rng<const N: usize>(self, stream: Stream, counters: [u64; N]) -> ChaCha8Rng {
        const { assert!(N <= 3, "a stream has three counters") };
        let counter = |index: usize| counters.get(index).copied().unwrap_or(0);
        let mut key = [0u8; 32];
        for (part, value) in key.chunks_exact_mut(8).zip([self.0, stream as u64, counter(0), counter(1)]) {
            part.copy_from_slice(&value.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(counter(2));
        rng
    }
}

#[cfg(test)]
mod tests {
    use rand::RngCore;

    use super::*;

    #[test]
    fn streams_are_repeatable_and_distinct() {
        let draw = |seed, stream, counters: [u64; 3]| Seed(seed).rng(stream, counters).next_u64();
        let first = draw(1, Stream::Init, [0, 0, 0]);
        assert_eq!(first, Seed(1).rng(Stream::Init, []).next_u64());
        for other in [
            (2, Stream::Init, [0, 0, 0]),
            (1, Stream::Order, [0, 0, 0]),
            (1, Stream::Init, [1, 0, 0]),
            (1, Stream::Init, [0, 1, 0]),
            (1, Stream::Init, [0, 0, 1]),
        ] {
            assert_ne!(first, draw(other.0, other.1, other.2));
        }
    }
}
