//! How the valley floor moves from one update to the next.

use walk_record::Stamped;
use walk_record::rows::{Interpolation, Mode};

use super::noise_test::{PooledNoise, sampling_variance};
use crate::statistics::{Variance, student_quantile};

/// How the valley floor, the lowest loss of each segment, moved between pairs of consecutive updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FloorMoves {
    /// Pairs whose second floor is higher.
    pub(crate) up: usize,
    /// Pairs whose second floor is lower.
    pub(crate) down: usize,
    /// Pairs with equal floors.
    pub(crate) level: usize,
    /// Moves up that noise does not explain.
    pub(crate) sure_up: usize,
    /// Moves down that noise does not explain.
    pub(crate) sure_down: usize,
    /// Moves up or down that may be noise.
    pub(crate) unsure: usize,
    /// Moves up or down whose error is not known.
    pub(crate) unknown: usize,
    /// Moves up between two floors that both lie between the ends of their segments: SGD moved over a barrier (paper,
    /// Section 3: every path from the first floor to the second rises).
    pub(crate) over: usize,
}

/// The lowest loss of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor<'a> {
    /// Index of its epoch among those measured.
    pub(super) epoch: usize,
    pub(super) step: u64,
    segment: &'a Interpolation,
    loss: f64,
    noise: Option<PooledNoise>,
    /// Whether it lies between the ends.
    is_interior: bool,
}

impl<'a> Floor<'a> {
    /// `None` if the lowest loss is missing.
    pub(super) fn new(
        epoch: usize,
        segment: &Stamped<'a, Interpolation>,
        noise: Option<PooledNoise>,
    ) -> Option<Self> {
        let is_interior = segment.min_alpha.get().is_some_and(|alpha| 0.0 < alpha && alpha < 1.0);
        let loss = segment.min_loss.get()?;
        Some(Self { epoch, step: segment.at.step, segment: segment.row, loss, noise, is_interior })
    }

    /// Variance of the loss due to the samples left out, 0 if there are none; `None` if it is not known.
    fn sampling(&self) -> Option<Variance> {
        match self.segment.mode {
            Mode::Exact => Some(Variance::of_error(0.0, f64::INFINITY)),
            Mode::Adaptive => {
                let error = self.segment.min_loss_error.get()?;
                Some(sampling_variance(self.segment, error))
            }
        }
    }
}

/// The variance of the move between two floors: that of the samples left out, which the floors may share, and the noise of
/// each; `None` if nothing is known about one of them. Noise of one epoch is one estimate for both.
fn variance(from: &Floor<'_>, to: &Floor<'_>) -> Option<Variance> {
    let shared = to.segment.floor_move_error.get().filter(|_| to.segment.mode == Mode::Adaptive);
    let sampling = match shared {
        Some(error) => vec![sampling_variance(to.segment, error)],
        None => vec![from.sampling()?, to.sampling()?],
    };
    let has_error = |floor: &Floor<'_>| {
        floor.noise.is_some()
            || shared.or(floor.sampling().map(|part| part.value)).is_some_and(|error| error > 0.0)
    };
    if !has_error(from) || !has_error(to) {
        return None;
    }
    let noise = |floor: &Floor<'_>| floor.noise.map(|noise| noise.variance());
    let noise = match (noise(from), noise(to)) {
        (Some(noise), Some(_)) if from.epoch == to.epoch => {
            vec![Variance { value: 2.0 * noise.value, ..noise }]
        }
        (from, to) => from.into_iter().chain(to).collect(),
    };
    Some(Variance::sum(&[sampling, noise].concat()))
}

impl FloorMoves {
    /// Counts the move between two floors. It is significant if it exceeds its error times the two-sided quantile of Student's t
    /// at `level`.
    pub(super) fn count(&mut self, from: &Floor<'_>, to: &Floor<'_>, level: f64) {
        let rise = to.loss - from.loss;
        let variance = variance(from, to).filter(|variance| variance.value.is_finite());
        let is_sure = variance.is_some_and(|Variance { value, freedom }| {
            let size = rise.abs() / value.sqrt();
            // an infinite size, where there is no error, needs no quantile
            size > 1.0 && (size.is_infinite() || size > student_quantile(level, freedom))
        });
        let (up, down) = (rise > 0.0, rise < 0.0);
        self.up += usize::from(up);
        self.down += usize::from(down);
        self.level += usize::from(!up && !down);
        self.sure_up += usize::from(up && is_sure);
        self.sure_down += usize::from(down && is_sure);
        self.unsure += usize::from((up || down) && variance.is_some() && !is_sure);
        self.unknown += usize::from((up || down) && variance.is_none());
        self.over += usize::from(up && from.is_interior && to.is_interior);
    }

    /// Pairs of consecutive updates.
    pub(crate) fn pairs(&self) -> usize {
        self.up + self.down + self.level
    }
}

#[cfg(test)]
mod tests {
    use walk_record::rows::Noise;
    use walk_record::{Measured, Row};

    use super::*;
    use crate::fixture;
    use crate::interpolation::Segments;

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

    /// Whether a move of 1 is significant, not significant or unknown.
    fn verdict([a, b]: [Interpolation; 2], noise: Option<Noise>) -> &'static str {
        let noise = noise.map(|noise| fixture::row(1, 3, noise));
        let found = moves([fixture::row(1, 1, a), fixture::row(1, 2, b)].into_iter().chain(noise));
        match (found.sure_up, found.unsure, found.unknown) {
            (1, 0, 0) => "sure",
            (0, 1, 0) => "unsure",
            (0, 0, 1) => "unknown",
            other => panic!("{other:?}"),
        }
    }

    fn noise(sigma: f64, evaluations: usize) -> Option<Noise> {
        Some(Noise { evaluations, ..fixture::noise(sigma) })
    }

    #[test]
    fn noise_from_few_evaluations_is_students() {
        let exact = || [floor(0.5, 1.0), floor(0.5, 2.0)];
        // one pair: 1 / (√2 t) with t = 4.303 for 2 degrees of freedom, 1.962 for 999
        assert_eq!([0.163, 0.166].map(|sigma| verdict(exact(), noise(sigma, 3))), ["sure", "unsure"]);
        assert_eq!([0.359, 0.362].map(|sigma| verdict(exact(), noise(sigma, 1000))), ["sure", "unsure"]);
        assert_eq!(verdict(exact(), noise(0.0, 3)), "sure");
        // a single evaluation gives no spread
        assert_eq!([noise(0.1, 1), None].map(|noise| verdict(exact(), noise)), ["unknown", "unknown"]);
    }

    #[test]
    fn the_error_of_an_adaptive_move_is_that_of_samples_and_noise() {
        let alone = |error: f64| [adaptive(1.0, error), adaptive(2.0, error)];
        // √2 errors in quadrature, known to many degrees of freedom: 1.96
        assert_eq!([0.35, 0.37].map(|error| verdict(alone(error), None)), ["sure", "unsure"]);
        // with noise of 0.2: √(2 (0.3² + 0.2²)) 1.96 = 0.9995
        assert_eq!([0.3, 0.301].map(|error| verdict(alone(error), noise(0.2, 100_000))), ["sure", "unsure"]);
        // all samples were needed: without the noise, the error is unknown
        assert_eq!(verdict(alone(0.0), None), "unknown");
        assert_eq!(verdict(alone(0.0), noise(0.1, 100)), "sure");
        assert_eq!(verdict(alone(f64::NAN), noise(0.1, 100)), "unknown");
        // the errors of shared samples cancel
        let shared = |error: f64, freedom: f64| {
            let to = Interpolation {
                floor_move_error: error.into(),
                degrees_of_freedom: freedom.into(),
                ..adaptive(2.0, 0.6)
            };
            [adaptive(1.0, 0.6), to]
        };
        assert_eq!([0.5, 0.52].map(|error| verdict(shared(error, 1e9), None)), ["sure", "unsure"]);
        // two errors are as wide as 2.43 of Student's t with 7 degrees of freedom, whose quantile is 2.365
        assert_eq!([0.51, 0.52].map(|error| verdict(shared(error, 7.0), None)), ["sure", "unsure"]);
        assert_eq!(verdict(shared(0.0, 7.0), None), "unknown");
    }
}
