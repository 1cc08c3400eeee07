//! Analysis of a run's measured segments: barriers, valleys, and how the valley floor moves.

use walk_record::rows::{Interpolation, Noise};
use walk_record::{Run, Stamped};

use super::floor::{Floor, FloorMoves};
use super::noise_test::{NoiseTest, PaperPrediction};
use crate::statistics::LEVEL;

/// The measured segments of a run.
#[derive(Clone, Debug)]
pub(crate) struct Segments<'a> {
    /// By epoch; epochs without segments are left out.
    pub(crate) epochs: Vec<EpochSegments<'a>>,
    /// Moves of the valley floor.
    pub(crate) floor_moves: FloorMoves,
}

/// The measured segments of one epoch.
#[derive(Clone, Debug)]
pub(crate) struct EpochSegments<'a> {
    /// The epoch. If each epoch is one update, all are grouped under the first.
    pub(crate) epoch: u32,
    /// One or more, in order.
    pub(crate) segments: Vec<Stamped<'a, Interpolation>>,
    /// The test against the noise of the loss at one point; `None` if it was not measured in this epoch in the same way as the
    /// segments.
    pub(crate) noise_test: Option<NoiseTest>,
    /// The barriers that the authors' evaluation would be expected to show, if that is known.
    pub(crate) paper: Option<PaperPrediction>,
    /// Moves of the valley floor into these segments, the first from the epoch before.
    pub(crate) floor_moves: FloorMoves,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(run: &'a Run) -> Self {
        let noises = run.by_epoch::<Noise>();
        let epochs = run.by_epoch::<Interpolation>().into_iter().map(|(epoch, segments)| {
            let noises = noises.get(&epoch).map_or(&[][..], Vec::as_slice);
            let noise_test = NoiseTest::new(&segments, noises);
            let paper = PaperPrediction::new(&segments, noises);
            EpochSegments { epoch, segments, noise_test, paper, floor_moves: FloorMoves::default() }
        });
        let mut epochs: Vec<EpochSegments<'a>> = epochs.collect();
        let floors = epochs.iter().enumerate().flat_map(|(index, epoch)| {
            let noise = epoch.noise_test.as_ref().map(|test| test.noise);
            epoch.segments.iter().filter_map(move |segment| Floor::new(index, segment, noise))
        });
        let floors: Vec<Floor<'_>> = floors.collect();
        let pairs = floors.windows(2).filter(|pair| pair[0].step + 1 == pair[1].step);
        // Bonferroni's correction for all pairs of the run
        let level = LEVEL / pairs.clone().count().max(1) as f64;
        let mut floor_moves = FloorMoves::default();
        for pair in pairs {
            for moves in [&mut floor_moves, &mut epochs[pair[1].epoch].floor_moves] {
                moves.count(&pair[0], &pair[1], level);
            }
        }
        Self { epochs, floor_moves }
    }
}

impl EpochSegments<'_> {
    /// The last of the epochs grouped together.
    pub(crate) fn last_epoch(&self) -> u32 {
        self.segments.last().map_or(self.epoch, |segment| segment.at.epoch)
    }

    /// Updates for which it is known whether they crossed a barrier.
    pub(crate) fn decided(&self) -> usize {
        self.segments.iter().filter(|segment| segment.barrier.is_some()).count()
    }

    /// Updates for which non-finite losses leave this undecided.
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

    /// Barriers that noise does not explain, by the test of the epoch; `None` if the noise is not known.
    pub(crate) fn tested_barriers(&self) -> Option<usize> {
        let test = self.noise_test.as_ref()?;
        Some(self.crossed().filter(|segment| test.rejects(segment)).count())
    }

    /// Heights of the barriers.
    pub(crate) fn heights(&self) -> impl Iterator<Item = f64> {
        self.crossed().filter_map(|segment| segment.height.get())
    }

    /// Where steps landed on the parabolas fitted to their losses, for those that are valleys.
    pub(crate) fn landings(&self) -> impl Iterator<Item = f64> {
        self.segments.iter().filter_map(|segment| segment.landing.get())
    }
}

#[cfg(test)]
mod tests {
    use walk_record::rows::{BySample, Mode};
    use walk_record::{EvaluationData, Measured};

    use super::*;
    use crate::fixture;

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
    fn noise_is_that_of_the_epoch_evaluated_as_the_segments() {
        let paper = Noise { evaluation: EvaluationData::Paper, ..fixture::noise(0.4) };
        let more = Noise { evaluations: 9, ..fixture::noise(0.2) };
        let segment = || fixture::segment(false, -0.5);
        let rows = [
            fixture::row(1, 1, segment()),
            fixture::row(1, 1, fixture::noise(0.1)),
            fixture::row(1, 1, more),
            fixture::row(1, 1, fixture::noise(f64::NAN)),
            fixture::row(1, 1, paper),
            fixture::row(2, 2, segment()),
        ];
        let run = fixture::run("mlp", rows);
        let epochs = Segments::new(&run).epochs;
        let noise = epochs[0].noise_test.as_ref().unwrap().noise;
        // (2 0.01 + 8 0.04) / 10
        assert!((noise.sigma - 0.034f64.sqrt()).abs() < 1e-12, "{noise:?}");
        assert_eq!((noise.evaluations, Measured::from(noise.freedom)), (12, 10.0.into()));
        assert!(epochs[1].noise_test.is_none());
        // the move into epoch 2 belongs to it
        assert_eq!(epochs[1].floor_moves.level, 1);
    }

    #[test]
    fn an_estimate_by_sample_replaces_that_by_evaluation() {
        let by_sample = |sigma: f64| Some(BySample { sigma: sigma.into(), degrees_of_freedom: 50.0.into() });
        let rows = [
            fixture::row(1, 1, fixture::segment(false, -0.5)),
            fixture::row(1, 1, Noise { by_sample: by_sample(0.2), ..fixture::noise(0.5) }),
            fixture::row(1, 1, fixture::noise(0.1)),
            fixture::row(1, 1, Noise { by_sample: by_sample(f64::NAN), ..fixture::noise(0.1) }),
        ];
        let run = fixture::run("mlp", rows);
        let noise = Segments::new(&run).epochs[0].noise_test.as_ref().unwrap().noise;
        // (50 0.04 + 2 0.01 + 2 0.01) / 54
        assert!((noise.sigma - (2.04f64 / 54.0).sqrt()).abs() < 1e-12, "{noise:?}");
        assert_eq!((noise.evaluations, Measured::from(noise.freedom)), (9, 54.0.into()));
    }

    #[test]
    fn the_error_of_an_adaptive_height_enters_its_test() {
        let tested = |height_error: f64, freedom: f64| {
            let segment = Interpolation {
                mode: Mode::Adaptive,
                height_error: height_error.into(),
                degrees_of_freedom: freedom.into(),
                ..fixture::segment(true, 0.3)
            };
            let noise = Noise { evaluations: 1000, ..fixture::noise(0.1) };
            let run = fixture::run("mlp", [fixture::row(1, 1, segment), fixture::row(1, 1, noise)]);
            Segments::new(&run).epochs[0].tested_barriers().unwrap()
        };
        // one interior point: the 95% quantile of the height is 1.59 σ
        assert_eq!([f64::NAN, 0.0, 0.1].map(|error| tested(error, 1e9)), [1, 1, 1]);
        assert_eq!([0.15, 0.17, 0.2].map(|error| tested(error, 1e9)), [1, 0, 0]);
        // an error with one degree of freedom reaches further: two of 0.12 are then recorded as two of 0.838
        assert_eq!([(0.12, 1e9), (0.838, 1.0)].map(|(error, freedom)| tested(error, freedom)), [1, 0]);
    }
}
