//! What the measured segments of a run say: barriers, valleys, and how the valley floor moves.

use walk_record::rows::{Interpolation, Mode, Noise};
use walk_record::{Measured, Run, Stamped};

use crate::statistics::{bonferroni, median};

/// The measured segments of a run.
#[derive(Clone, Debug)]
pub(crate) struct Segments<'a> {
    /// By epoch, those that have any.
    pub(crate) epochs: Vec<EpochSegments<'a>>,
    /// Moves of the valley floor.
    pub(crate) floor_moves: FloorMoves,
    /// Standard errors beyond which a move of the floor is sure: the normal quantile at the 5% level, by Bonferroni's correction
    /// for all pairs of consecutive updates of the run.
    pub(crate) bound: f64,
}

/// The measured segments of one epoch.
#[derive(Clone, Debug)]
pub(crate) struct EpochSegments<'a> {
    /// The epoch. Where an epoch is one update, all are taken together under the first.
    pub(crate) epoch: u32,
    /// One or more, in order.
    pub(crate) segments: Vec<Stamped<'a, Interpolation>>,
    /// Median standard deviation of the loss at one point, measured in this epoch and evaluated as the segments were.
    pub(crate) noise: Measured,
    /// Moves of the valley floor into these segments, the first from the epoch before.
    pub(crate) floor_moves: FloorMoves,
}

/// How the valley floor, the lowest loss of each segment, moved between pairs of consecutive updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FloorMoves {
    /// Pairs whose second floor is higher.
    pub(crate) up: usize,
    /// Pairs whose second floor is lower.
    pub(crate) down: usize,
    /// Pairs with equal floors.
    pub(crate) level: usize,
    /// Moves up that exceed the bound.
    pub(crate) sure_up: usize,
    /// Moves down that exceed the bound.
    pub(crate) sure_down: usize,
    /// Moves up or down that do not exceed it.
    pub(crate) unsure: usize,
    /// Moves up or down whose error is not known.
    pub(crate) unknown: usize,
    /// Moves up between two floors that both lie between the ends of their segments: SGD moved over a barrier (paper,
    /// Section 3: every path from the first floor to the second rises).
    pub(crate) over: usize,
}

/// The lowest loss of a segment.
#[derive(Clone, Copy, Debug)]
struct Floor {
    /// Place of its epoch among those measured.
    epoch: usize,
    step: u64,
    loss: f64,
    /// Standard error of the loss.
    error: Measured,
    /// Whether it lies between the ends.
    is_interior: bool,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(run: &'a Run) -> Self {
        let noises = run.by_epoch::<Noise>();
        let epochs = run.by_epoch::<Interpolation>().into_iter().map(|(epoch, segments)| {
            let noises = noises.get(&epoch).map_or(&[][..], Vec::as_slice);
            let noise = noise_of(&segments, noises);
            EpochSegments { epoch, segments, noise, floor_moves: FloorMoves::default() }
        });
        let mut epochs: Vec<EpochSegments<'a>> = epochs.collect();
        let floors = epochs.iter().enumerate().flat_map(|(index, epoch)| {
            epoch.segments.iter().filter_map(move |segment| Floor::new(index, segment, epoch.noise))
        });
        let floors: Vec<Floor> = floors.collect();
        let pairs = floors.windows(2).filter(|pair| pair[0].step + 1 == pair[1].step);
        let (bound, mut floor_moves) = (bonferroni(pairs.clone().count()), FloorMoves::default());
        for pair in pairs {
            for moves in [&mut floor_moves, &mut epochs[pair[1].epoch].floor_moves] {
                moves.count(pair[0], pair[1], bound);
            }
        }
        Self { epochs, floor_moves, bound }
    }
}

/// The median standard deviation of the noises that were evaluated as the segments.
fn noise_of(segments: &[Stamped<'_, Interpolation>], noises: &[Stamped<'_, Noise>]) -> Measured {
    let alike = noises.iter().filter(|noise| {
        let evaluated_alike = |segment: &Stamped<'_, Interpolation>| {
            segment.evaluation == noise.evaluation && segment.batch_norm == noise.batch_norm
        };
        segments.iter().all(evaluated_alike)
    });
    median(alike.map(|noise| noise.sigma))
}

impl EpochSegments<'_> {
    /// The last epoch of those taken together.
    pub(crate) fn last_epoch(&self) -> u32 {
        self.segments.last().map_or(self.epoch, |segment| segment.at.epoch)
    }

    /// Updates of which it is known whether they crossed a barrier.
    pub(crate) fn decided(&self) -> usize {
        self.segments.iter().filter(|segment| segment.barrier.is_some()).count()
    }

    /// Updates of which losses that are not finite leave that open.
    pub(crate) fn undecided(&self) -> usize {
        self.segments.len() - self.decided()
    }

    /// Updates that crossed a barrier.
    pub(crate) fn barriers(&self) -> usize {
        self.crossed().count()
    }

    fn crossed(&self) -> impl Iterator<Item = &Stamped<'_, Interpolation>> {
        self.segments.iter().filter(|segment| segment.barrier == Some(true))
    }

    /// Barriers higher than three standard errors where the noise is known, all otherwise.
    pub(crate) fn sure_barriers(&self) -> usize {
        self.barriers_above(3.0).unwrap_or_else(|| self.barriers())
    }

    /// Heights of the barriers.
    pub(crate) fn heights(&self) -> impl Iterator<Item = f64> {
        self.crossed().filter_map(|segment| segment.height.get())
    }

    /// Barriers higher than `errors` standard errors of a difference of two losses; `None` where the noise is not known.
    pub(crate) fn barriers_above(&self, errors: f64) -> Option<usize> {
        let bound = errors * self.noise.get()? * 2f64.sqrt();
        Some(self.heights().filter(|&height| height > bound).count())
    }

    /// Where steps landed on the parabolas fitted to their losses, of those that are valleys.
    pub(crate) fn landings(&self) -> impl Iterator<Item = f64> {
        self.segments.iter().filter_map(|segment| segment.landing.get())
    }
}

impl Floor {
    /// `None` if the lowest loss is missing.
    fn new(epoch: usize, segment: &Stamped<'_, Interpolation>, noise: Measured) -> Option<Self> {
        let is_interior = segment.min_alpha.get().is_some_and(|alpha| 0.0 < alpha && alpha < 1.0);
        let loss = segment.min_loss.get()?;
        Some(Self { epoch, step: segment.at.step, loss, error: floor_error(segment, noise), is_interior })
    }
}

/// The standard error of a floor: the noise of the loss; in adaptive mode that of the samples left out as well, or alone where
/// the noise is not known.
fn floor_error(segment: &Interpolation, noise: Measured) -> Measured {
    match (segment.mode, noise.get()) {
        (Mode::Exact, _) => noise,
        (Mode::Adaptive, Some(noise)) => segment.min_loss_error.or_nan().hypot(noise).into(),
        (Mode::Adaptive, None) => segment.min_loss_error.get().filter(|&error| error > 0.0).into(),
    }
}

impl FloorMoves {
    fn count(&mut self, from: Floor, to: Floor, bound: f64) {
        let rise = to.loss - from.loss;
        let error = Measured::from(from.error.or_nan().hypot(to.error.or_nan())).get();
        let is_sure = error.is_some_and(|error| rise.abs() > bound * error);
        let (up, down) = (rise > 0.0, rise < 0.0);
        self.up += usize::from(up);
        self.down += usize::from(down);
        self.level += usize::from(!up && !down);
        self.sure_up += usize::from(up && is_sure);
        self.sure_down += usize::from(down && is_sure);
        self.unsure += usize::from((up || down) && error.is_some() && !is_sure);
        self.unknown += usize::from((up || down) && error.is_none());
        self.over += usize::from(up && from.is_interior && to.is_interior);
    }

    /// Pairs of consecutive updates.
    pub(crate) fn pairs(&self) -> usize {
        self.up + self.down + self.level
    }
}

#[cfg(test)]
mod tests {
    use walk_record::{EvaluationData, Row};

    use super::*;
    use crate::fixture;

    fn floor(min_alpha: f64, min_loss: f64) -> Interpolation {
        Interpolation {
            min_alpha: min_alpha.into(),
            min_loss: min_loss.into(),
            ..fixture::segment(false, -0.5)
        }
    }

    fn adaptive(min_loss: f64, error: impl Into<Measured>) -> Interpolation {
        Interpolation { mode: Mode::Adaptive, min_loss_error: error.into(), ..floor(0.5, min_loss) }
    }

    fn moves(rows: impl IntoIterator<Item = Row>) -> FloorMoves {
        Segments::new(&fixture::run("mlp", rows)).floor_moves
    }

    #[test]
    fn counts_by_epoch() {
        let rows = [(1, false, -0.5), (1, true, 0.25), (10, false, -1.0)];
        let rows =
            rows.map(|(epoch, barrier, height)| fixture::row(epoch, 1, fixture::segment(barrier, height)));
        let run = fixture::run("mlp", rows);
        let epochs = Segments::new(&run).epochs;
        assert_eq!(
            (epochs[0].decided(), epochs[0].barriers(), epochs[0].heights().collect()),
            (2, 1, vec![0.25])
        );
        assert_eq!((epochs[1].epoch, epochs[1].decided()), (10, 1));
    }

    #[test]
    fn moves_over_a_barrier_are_rises_between_floors_inside() {
        let rows = [
            fixture::row(1, 1, floor(0.5, 1.0)),
            fixture::row(1, 2, floor(0.5, 1.5)),  // up, inside
            fixture::row(1, 3, floor(1.0, 1.75)), // up, to a floor at the end
            fixture::row(1, 4, floor(0.5, 1.75)), // level
            fixture::row(1, 5, floor(0.5, 1.5)),  // down
            fixture::row(1, 6, floor(0.5, f64::NAN)),
            fixture::row(1, 9, floor(0.5, 2.0)), // not the next update
        ];
        assert_eq!(
            moves(rows),
            FloorMoves { up: 2, down: 1, level: 1, unknown: 3, over: 1, ..FloorMoves::default() }
        );
    }

    #[test]
    fn the_error_of_a_move_is_that_of_its_floors() {
        let pair = |noise: f64, [a, b]: [Interpolation; 2]| {
            let noise = fixture::row(1, 3, fixture::noise(noise));
            let found = moves([fixture::row(1, 1, a), fixture::row(1, 2, b), noise]);
            (found.sure_up, found.unsure, found.unknown)
        };
        let exact = || [floor(0.5, 1.0), floor(0.5, 2.0)];
        let estimated = |error: f64| [adaptive(1.0, error), adaptive(2.0, error)];
        let missing = f64::NAN;
        // for one pair the bound is 1.96 standard errors of a difference
        assert_eq!(pair(0.35, exact()), (1, 0, 0));
        assert_eq!(pair(0.37, exact()), (0, 1, 0));
        assert_eq!(pair(missing, exact()), (0, 0, 1));
        assert_eq!(pair(missing, estimated(0.35)), (1, 0, 0));
        assert_eq!(pair(0.2, estimated(0.3)), (1, 0, 0));
        assert_eq!(pair(0.25, estimated(0.3)), (0, 1, 0));
        // all samples were needed: without the noise nothing is known
        assert_eq!(pair(missing, estimated(0.0)), (0, 0, 1));
        assert_eq!(pair(0.1, estimated(0.0)), (1, 0, 0));
    }

    #[test]
    fn noise_is_that_of_the_epoch_evaluated_as_the_segments() {
        let paper = Noise { evaluation: EvaluationData::Paper, ..fixture::noise(0.4) };
        let segment = || fixture::segment(false, -0.5);
        let rows = [
            fixture::row(1, 1, segment()),
            fixture::row(1, 1, fixture::noise(0.1)),
            fixture::row(1, 1, paper),
            fixture::row(2, 2, segment()),
        ];
        let run = fixture::run("mlp", rows);
        let noises: Vec<Measured> = Segments::new(&run).epochs.iter().map(|epoch| epoch.noise).collect();
        assert_eq!(noises, [0.1.into(), Measured::MISSING]);
        // the move into epoch 2 belongs to it
        assert_eq!(Segments::new(&run).epochs[1].floor_moves.level, 1);
    }
}
