//! "Gradients point more against each other at larger batch sizes" (paper, Figure 7).

use super::claim::{Claim, Exhibit};
use super::trend::falls_with_batch_size;
use crate::cosine::cosines;
use crate::statistics::mean_of_blocks;

/// Over the updates that all runs have, the mean cosine of consecutive gradients falls from each batch size to the next larger.
pub(super) fn opposing_gradients(exhibit: &Exhibit<'_>) -> Claim {
    let claim = "consecutive gradients point more against each other at larger batch sizes";
    falls_with_batch_size(claim, exhibit, cosines, |cosines| {
        mean_of_blocks(&cosines.iter().map(|cosine| cosine.value).collect::<Vec<f64>>())
    })
}
