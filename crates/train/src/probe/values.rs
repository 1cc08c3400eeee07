//! Types of values shared by several sections. Each is checked when it is read, so a section never contains a value out of range.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use walk_core::BatchNormMode;
use walk_data::Subset;
use walk_record::BatchNorm;

/// An integer from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(transparent)]
pub struct Within<const MIN: usize, const MAX: usize>(usize);

/// The largest integer that makes sense anywhere; products of a few of them and the number of samples do not overflow.
const MOST: usize = 1_000_000_000;

/// An integer of at least `MIN`.
pub type AtLeast<const MIN: usize> = Within<MIN, MOST>;
/// Number of samples per evaluation chunk, which is the batch that batch norm sees.
pub type ChunkSize = AtLeast<1>;
/// Number of samples per differentiated chunk; batch norm needs at least two for a variance.
pub type GradientChunk = AtLeast<2>;
/// Number of training samples to use, taken from the start of the mixed order.
pub type SampleCount = AtLeast<1>;

impl<const MIN: usize, const MAX: usize> Within<MIN, MAX> {
    /// The smallest value.
    pub const MIN: usize = MIN;

    /// A value known to be in range.
    ///
    /// # Panics
    /// If it is not.
    pub const fn new(value: usize) -> Self {
        assert!(MIN <= value && value <= MAX, "the value is out of range");
        Self(value)
    }

    /// `VALUE`, as the default of a field.
    pub(super) const fn preset<const VALUE: usize>() -> Self {
        Self::new(VALUE)
    }

    /// The integer.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Within<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = i64::deserialize(deserializer)?;
        let value = usize::try_from(found).ok().filter(|value| (MIN..=MAX).contains(value));
        value.map(Self).ok_or_else(|| {
            let is_small = found < MIN as i64;
            let expected =
                if MAX == MOST && is_small { format!("at least {MIN}") } else { format!("{MIN} to {MAX}") };
            D::Error::custom(format!("= {found}, expected {expected}"))
        })
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $Name:ident($value:ident): $is_allowed:expr, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
        #[schemars(inline)]
        #[serde(transparent)]
        pub struct $Name(f64);

        impl $Name {
            /// A value known to be in range.
            ///
            /// # Panics
            /// If it is not.
            pub const fn new(value: f64) -> Self {
                assert!(Self::is_allowed(value), "the value is out of range");
                Self(value)
            }

            /// The number.
            pub const fn get(self) -> f64 {
                self.0
            }

            const fn is_allowed($value: f64) -> bool {
                $is_allowed
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let found = f64::deserialize(deserializer)?;
                if Self::is_allowed(found) {
                    return Ok(Self(found));
                }
                Err(D::Error::custom(format!(concat!("= {}, expected ", $expected), found)))
            }
        }
    )*};
}

numbers! {
    /// A number above 0 and below 1.
    Fraction(value): value > 0.0 && value < 1.0, "a number between 0 and 1";
    /// A number from 0 to 1.
    Share(value): value >= 0.0 && value <= 1.0, "a number from 0 to 1";
    /// A finite number of at least 0.
    NotNegative(value): value >= 0.0 && value.is_finite(), "a number of at least 0";
}

impl Fraction {
    /// One in a thousand.
    pub(super) const fn thousandth() -> Self {
        Self::new(1e-3)
    }
}

impl Share {
    /// One in a hundred.
    pub(super) const fn hundredth() -> Self {
        Self::new(1e-2)
    }
}

impl NotNegative {
    /// 1.5
    pub(super) const fn one_and_a_half() -> Self {
        Self::new(1.5)
    }
}

/// The paper's 100 samples per chunk.
pub(super) const fn paper_chunk() -> ChunkSize {
    ChunkSize::new(100)
}

/// Number of samples for running statistics: about as many as the running averages of training remember, 20 batches of 100
/// with a momentum of 0.1.
pub(super) const fn usual_statistics() -> SampleCount {
    SampleCount::new(2000)
}

/// The same for differentiated chunks.
pub(super) const fn gradient_chunk() -> GradientChunk {
    GradientChunk::new(100)
}

/// All samples of a part in their mixed order, or the first `most` of them.
pub(super) fn first_samples(train: &Subset, most: Option<SampleCount>) -> &[usize] {
    &train.mixed()[..most.map_or(train.len(), SampleCount::get).min(train.len())]
}

/// The statistics that evaluations use.
pub(super) const fn statistics(batch_norm: BatchNorm) -> BatchNormMode {
    match batch_norm {
        BatchNorm::Batch => BatchNormMode::Batch,
        BatchNorm::Running => BatchNormMode::Running,
    }
}

/// A key whose value has no effect, and the reason.
pub(super) type Unused = (&'static str, &'static str);

/// `statistics_samples` if it is set but nothing is estimated on them, with the reason.
pub(super) fn unused_statistics(batch_norm: BatchNorm, samples: SampleCount) -> Option<Unused> {
    let is_unused = batch_norm == BatchNorm::Batch && samples != usual_statistics();
    is_unused
        .then_some(("statistics_samples", "`batch_norm` = \"batch\" takes its statistics from each chunk"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_says_what_was_expected() {
        let points = |text: &str| serde_json::from_str::<Within<3, 1001>>(text).map_err(|e| e.to_string());
        assert_eq!(points("11").unwrap().get(), 11);
        assert!(points("2").unwrap_err().starts_with("= 2, expected 3 to 1001"));
        assert!(points("-1").unwrap_err().starts_with("= -1, expected 3 to 1001"));
        assert!(points("1.5").is_err());
        let chunk = serde_json::from_str::<ChunkSize>("0").unwrap_err().to_string();
        assert!(chunk.starts_with("= 0, expected at least 1"), "{chunk}");
        let chunk = serde_json::from_str::<ChunkSize>("9000000000000000000").unwrap_err().to_string();
        assert!(chunk.starts_with("= 9000000000000000000, expected 1 to 1000000000"), "{chunk}");
        for text in ["0", "1", "-3.5"] {
            let error = serde_json::from_str::<Fraction>(text).unwrap_err().to_string();
            assert!(error.contains("expected a number between 0 and 1"), "{error}");
        }
    }
}
