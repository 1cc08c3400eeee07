//! What the tables need of a run, epoch by epoch.

use std::collections::BTreeMap;

use walk_record::{AlignmentRow, CovarianceRow, InterpolationRow, LineRow, NoiseRow, Row, SpectrumRow};

/// The measured segments of one epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpochSegments {
    /// The last epoch measured here: that of the key, but where an epoch is one update all are taken together.
    pub last_epoch: u32,
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
    /// How the valley floor moved from one measured update to the next.
    pub floor_moves: FloorMoves,
    /// Updates that landed beyond the floor, on the opposite wall, of those whose curve is a valley.
    pub beyond: [usize; 2],
    /// How the loss was evaluated: on what data, with what statistics of batch norm.
    evaluation: Option<[String; 2]>,
    /// Standard deviations of the loss at one point, and how it was evaluated.
    sigmas: Vec<([String; 2], f64)>,
    /// The last segment's.
    last_floor: Option<Floor>,
}

/// How the valley floor, the minimum of each segment, moved between pairs of consecutive measured updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FloorMoves {
    /// Pairs whose second floor lies higher.
    pub up: usize,
    /// Pairs whose second floor lies lower.
    pub down: usize,
    /// Pairs with equal floors.
    pub level: usize,
    /// Ups and downs of at most three standard errors of the floors.
    pub unsure: usize,
    /// Ups between two floors that both lie below the ends of their segments: SGD moved over a barrier (paper, Section 3:
    /// every path from the first floor to the second rises).
    pub over: usize,
}

/// The minimum of a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Floor {
    step: u64,
    loss: f64,
    error: f64,
    /// Whether it lies between the ends.
    interior: bool,
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
    /// Spreads of the loss at one point.
    pub noises: Vec<NoiseRow>,
    /// How gradients spread over samples.
    pub covariances: Vec<CovarianceRow>,
    /// Eigenvalues of the Hessian.
    pub spectra: Vec<SpectrumRow>,
    /// Losses along lines.
    pub lines: Vec<LineRow>,
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
            noises: vec![],
            covariances: vec![],
            spectra: vec![],
            lines: vec![],
        };
        let together = is_one_update_per_epoch(rows);
        let key = |epoch: u32| if together { 1 } else { epoch };
        let epochs = &mut summary.epochs;
        for row in rows {
            match row {
                Row::Interpolation(row) => epochs.entry(key(row.epoch)).or_default().add(row),
                Row::Noise(row) => {
                    let evaluation = [row.evaluation.clone(), row.batch_norm.clone()];
                    epochs.entry(key(row.epoch)).or_default().sigmas.push((evaluation, row.sigma));
                    summary.noises.push(row.clone());
                }
                Row::Alignment(row) => summary.alignments.push(row.clone()),
                Row::Cosine(row) => summary.cosines.entry(key(row.epoch)).or_default().extend(row.cosine),
                Row::Distance(row) => {
                    summary.distances.entry(key(row.epoch)).or_default().push((row.step, row.distance));
                }
                Row::Covariance(row) => summary.covariances.push(row.clone()),
                Row::Spectrum(row) => summary.spectra.push(row.clone()),
                Row::Line(row) => summary.lines.push(row.clone()),
                Row::Plane(_) | Row::Train(_) | Row::Order(_) | Row::Epoch(_) => {}
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
        self.evaluation = Some([row.evaluation.clone(), row.batch_norm.clone()]);
        self.last_epoch = row.epoch;
        self.last_loss = row.losses.last().copied().unwrap_or(f64::NAN);
        self.measured += 1;
        if row.barrier {
            self.barriers += 1;
            self.heights.push(row.height);
        }
        self.depths.push(row.depth);
        self.min_alphas.push(row.min_alpha);
        let floor = Floor {
            step: row.step,
            loss: row.min_loss,
            error: row.min_loss_error.unwrap_or(0.0),
            interior: row.min_alpha > 0.0 && row.min_alpha < 1.0,
        };
        if let Some(last) = self.last_floor.replace(floor)
            && last.step + 1 == floor.step
        {
            self.floor_moves.add(last, floor);
        }
        if let Some(landing) = row.landing {
            self.beyond[0] += usize::from(landing > 0.0);
            self.beyond[1] += 1;
        }
    }

    /// The median deviation of the loss at one point, evaluated as the segments were; `None` where that was not measured.
    pub fn sigma(&self) -> Option<f64> {
        let same = self.sigmas.iter().filter(|(of, _)| Some(of) == self.evaluation.as_ref());
        median(&same.map(|(_, sigma)| *sigma).collect::<Vec<f64>>())
    }

    /// Barriers higher than so many standard errors of a difference of two losses; `None` where the noise is not known.
    pub fn barriers_above(&self, errors: f64) -> Option<usize> {
        let sigma = self.sigma()?;
        Some(self.heights.iter().filter(|&&height| height > errors * sigma * 2f64.sqrt()).count())
    }
}

impl FloorMoves {
    fn add(&mut self, from: Floor, to: Floor) {
        let rise = to.loss - from.loss;
        self.up += usize::from(rise > 0.0);
        self.down += usize::from(rise < 0.0);
        self.level += usize::from(rise == 0.0);
        self.unsure += usize::from(rise != 0.0 && rise.abs() <= 3.0 * from.error.hypot(to.error));
        self.over += usize::from(rise > 0.0 && from.interior && to.interior);
    }
}

/// Whether an epoch is one update, as of gradient descent: then epochs say nothing that updates do not.
pub(crate) fn is_one_update_per_epoch(rows: &[Row]) -> bool {
    let mut epochs =
        rows.iter().filter_map(|row| if let Row::Epoch(row) = row { Some(row.iteration) } else { None });
    epochs.next() == Some(1) && epochs.all(|updates| updates == 1)
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
    fn moves_over_a_barrier_are_rises_between_floors_inside() {
        let segment = |step: u64, min_alpha: f64, min_loss: f64, error: Option<f64>| match row(1, false, -0.5)
        {
            Row::Interpolation(row) => {
                let min_loss_error = error;
                Row::Interpolation(InterpolationRow { step, min_alpha, min_loss, min_loss_error, ..row })
            }
            other => other,
        };
        let rows = [
            segment(1, 0.5, 1.0, None),
            segment(2, 0.5, 1.5, None),       // up, inside
            segment(3, 1.0, 1.75, None),      // up, to a floor at the end
            segment(4, 0.5, 1.75, None),      // level
            segment(5, 0.5, 1.5, Some(0.25)), // down, unsure
            segment(9, 0.5, 2.0, None),       // not the next update
        ];
        let found = Summary::new("mlp", &rows).epochs[&1].floor_moves;
        assert_eq!(found, FloorMoves { up: 2, down: 1, level: 1, unsure: 1, over: 1 });
    }

    #[test]
    fn median_takes_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
