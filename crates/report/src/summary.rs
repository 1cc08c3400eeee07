//! What the tables need of a run, epoch by epoch.

use std::collections::BTreeMap;

use walk_record::{InterpolationRow, Row};

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
}

/// A run's segments under a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The architecture's name.
    pub label: String,
    /// Segments by epoch.
    pub epochs: BTreeMap<u32, EpochSegments>,
}

impl Summary {
    /// Gathers the interpolation rows of a run.
    pub fn new(label: impl Into<String>, rows: &[Row]) -> Self {
        let mut epochs: BTreeMap<u32, EpochSegments> = BTreeMap::new();
        for row in rows {
            if let Row::Interpolation(row) = row {
                epochs.entry(row.epoch).or_default().add(row);
            }
        }
        Self { label: label.into(), epochs }
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
