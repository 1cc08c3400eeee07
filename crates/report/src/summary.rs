//! What the tables need of a run, epoch by epoch.

use std::collections::BTreeMap;

use walk_record::{AlignmentRow, InterpolationRow, Row};

/// The measured segments of one epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpochSegments {
    /// Updates measured.
    pub measured: usize,
    /// Barriers among them.
    pub barriers: usize,
    /// Heights of the barriers, in the order measured.
    pub heights: Vec<f64>,
    /// Depth of every valley, in the order measured.
    pub depths: Vec<f64>,
    /// Position of every minimum.
    pub min_alphas: Vec<f64>,
    /// Loss before the first measured update.
    pub first_loss: f64,
    /// Loss after the last measured update.
    pub last_loss: f64,
    /// How often the valley floor of an update lay above, and below, that of the update before.
    pub floor_moves: [usize; 2],
    /// Updates that landed beyond the floor, on the opposite wall, of those whose curve is a valley.
    pub beyond: [usize; 2],
    /// Standard deviations of the loss at one point, where the noise was measured.
    pub sigmas: Vec<f64>,
    /// Step and floor of the last segment.
    last_floor: Option<(u64, f64)>,
}

/// A run's segments under a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The architecture's name.
    pub label: String,
    /// Segments by epoch.
    pub epochs: BTreeMap<u32, EpochSegments>,
    /// How gradients lay to the Hessian, in the order measured.
    pub alignments: Vec<AlignmentRow>,
    /// Cosines of consecutive gradients, by epoch.
    pub cosines: BTreeMap<u32, Vec<f64>>,
    /// Steps and distances from the start, by epoch.
    pub distances: BTreeMap<u32, Vec<(u64, f64)>>,
}

impl Summary {
    /// Gathers what the probes of a run measured.
    pub fn new(label: impl Into<String>, rows: &[Row]) -> Self {
        let mut summary = Self {
            label: label.into(),
            epochs: BTreeMap::new(),
            alignments: vec![],
            cosines: BTreeMap::new(),
            distances: BTreeMap::new(),
        };
        let epochs = &mut summary.epochs;
        for row in rows {
            match row {
                Row::Interpolation(row) => epochs.entry(row.epoch).or_default().add(row),
                Row::Noise(row) => epochs.entry(row.epoch).or_default().sigmas.push(row.sigma),
                Row::Alignment(row) => summary.alignments.push(row.clone()),
                Row::Cosine(row) => summary.cosines.entry(row.epoch).or_default().extend(row.cosine),
                Row::Distance(row) => {
                    summary.distances.entry(row.epoch).or_default().push((row.step, row.distance));
                }
                Row::Train(_) | Row::Order(_) | Row::Epoch(_) => {}
            }
        }
        summary
    }
}

impl EpochSegments {
    fn add(&mut self, row: &InterpolationRow) {
        if self.measured == 0 {
            self.first_loss = row.losses.first().copied().unwrap_or(f64::NAN);
        }
        self.last_loss = row.losses.last().copied().unwrap_or(f64::NAN);
        self.measured += 1;
        if row.barrier {
            self.barriers += 1;
            self.heights.push(row.height);
        }
        self.depths.push(row.depth);
        self.min_alphas.push(row.min_alpha);
        if let Some((step, floor)) = self.last_floor
            && step + 1 == row.step
        {
            self.floor_moves[0] += usize::from(row.min_loss > floor);
            self.floor_moves[1] += usize::from(row.min_loss < floor);
        }
        self.last_floor = Some((row.step, row.min_loss));
        if let Some(landing) = row.landing {
            self.beyond[0] += usize::from(landing > 0.0);
            self.beyond[1] += 1;
        }
    }

    /// Barriers higher than so many standard errors of a difference of two losses; `None` where the noise is not known.
    pub fn barriers_above(&self, errors: f64) -> Option<usize> {
        let sigma = median(&self.sigmas)?;
        Some(self.heights.iter().filter(|&&height| height > errors * sigma * 2f64.sqrt()).count())
    }
}

/// The median; the lower of the two middle values of an even number. `None` if there are no values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(epoch: u32, barrier: bool, height: f64) -> Row {
        Row::Interpolation(InterpolationRow {
            epoch,
            iteration: 1,
            step: 1,
            alphas: vec![0.0, 0.5, 1.0],
            losses: vec![2.0, 2.0 + height, 1.5],
            barrier,
            height,
            depth: 0.25,
            min_alpha: 1.0,
            min_loss: 1.5,
            samples: 10,
            batch_norm: "batch".into(),
            evaluation: "fixed".into(),
            landing: None,
            evaluations: 0,
            mode: "exact".into(),
            ended: None,
            depth_error: None,
            min_loss_error: None,
            min_alpha_interval: None,
        })
    }

    #[test]
    fn counts_by_epoch() {
        let rows = [row(1, false, -0.5), row(1, true, 0.25), row(10, false, -1.0)];
        let summary = Summary::new("mlp", &rows);
        let first = &summary.epochs[&1];
        assert_eq!((first.measured, first.barriers, first.heights.as_slice()), (2, 1, [0.25].as_slice()));
        assert_eq!((first.first_loss, first.last_loss), (2.0, 1.5));
        assert_eq!(summary.epochs[&10].measured, 1);
    }

    #[test]
    fn median_takes_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
