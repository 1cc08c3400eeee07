//! "SGD rarely crosses barriers", and "the valley floor moves up and down" (paper, Section 3).

use std::collections::BTreeMap;

use walk_record::Run;

use super::claim::{Claim, Exhibit, Verdict, stated};
use super::share::{ShareBounds, UnitCount};
use crate::interpolation::{EpochSegments, FloorMoves, Segments};

/// "Rarely" means in less than this share of the updates. The largest share in the paper is 23 of 450, 5.1%.
const RARE: f64 = 0.1;

/// "Up and down" means each in more than this share of the moves.
const EACH_WAY: f64 = 0.05;

/// With more epochs than this, counts are summed.
const MAX_EPOCHS: usize = 5;

/// Within one run, the epochs are the units if there are at least this many; otherwise the run is one unit.
const MIN_EPOCHS: usize = 3;

/// The runs of each setting rarely cross barriers: the claim holds if even the raw count is rare, and does not if the count of
/// barriers beyond noise is not rare. Where the noise was not measured, no barrier is known to exceed it.
pub(super) fn rare_barriers(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "SGD rarely crosses barriers";
    Claim::for_each_setting(claim, exhibit, |subject, runs| {
        let runs = measured(runs);
        let total = |segments: &EpochSegments<'_>| segments.decided();
        let raw = ShareBounds::new(&units(&runs, EpochSegments::barriers, total));
        let significant = |epoch: &EpochSegments<'_>| epoch.tested_barriers().unwrap_or(0);
        let tested = ShareBounds::new(&units(&runs, significant, total));
        if runs.iter().flat_map(|run| &run.epochs).all(|epoch| epoch.decided() == 0) {
            return vec![];
        }
        let verdict = if raw.upper < RARE {
            Verdict::Holds
        } else if tested.lower > RARE {
            Verdict::DoesNotHold
        } else {
            Verdict::Undecided
        };
        vec![Claim {
            claim: format!("{}: {subject}", stated(claim, runs.len())),
            exhibit: exhibit.name.into(),
            measured: format!("barriers {}", barriers_text(&runs)),
            statistic: format!(
                "{}: raw share below {}, beyond noise above {}; rare means below {}",
                units_text(&runs),
                percent(raw.upper),
                percent(tested.lower),
                percent(RARE)
            ),
            verdict,
        }]
    })
}

/// The floor of each setting's runs moves both up and down: the claim holds if moves beyond noise are frequent enough in both
/// directions, and does not if the raw count in one direction is too small.
pub(super) fn floor_moves(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the valley floor moves up and down";
    Claim::for_each_setting(claim, exhibit, |subject, runs| {
        let runs = measured(runs);
        let bounds = |count: fn(&FloorMoves) -> usize| {
            let total = |epoch: &EpochSegments<'_>| epoch.floor_moves.pairs();
            ShareBounds::new(&units(&runs, |epoch| count(&epoch.floor_moves), total))
        };
        let sum = |count: fn(&FloorMoves) -> usize| -> usize {
            runs.iter().map(|run| count(&run.floor_moves)).sum()
        };
        if sum(FloorMoves::pairs) == 0 {
            return vec![];
        }
        let [up, down, sure_up, sure_down] = [
            |moves: &FloorMoves| moves.up,
            |moves: &FloorMoves| moves.down,
            |moves: &FloorMoves| moves.sure_up,
            |moves: &FloorMoves| moves.sure_down,
        ];
        let most = bounds(up).upper.min(bounds(down).upper);
        let least = bounds(sure_up).lower.min(bounds(sure_down).lower);
        let verdict = if least > EACH_WAY {
            Verdict::Holds
        } else if most < EACH_WAY {
            Verdict::DoesNotHold
        } else {
            Verdict::Undecided
        };
        vec![Claim {
            claim: format!("{}: {subject}", stated(claim, runs.len())),
            exhibit: exhibit.name.into(),
            measured: format!(
                "up {} ({} significant), down {} ({} significant)",
                sum(up),
                sum(sure_up),
                sum(down),
                sum(sure_down)
            ),
            statistic: format!(
                "{}: rarer direction between {} (significant moves) and {} (all moves); claimed: more than {}",
                units_text(&runs),
                percent(least),
                percent(most),
                percent(EACH_WAY)
            ),
            verdict,
        }]
    })
}

/// The segments of the runs that measured some.
pub(super) fn measured<'a>(runs: &[&'a Run]) -> Vec<Segments<'a>> {
    runs.iter().map(|run| Segments::new(run)).filter(|segments| !segments.epochs.is_empty()).collect()
}

/// Counts of an event, by unit.
pub(super) fn units<'a>(
    runs: &[Segments<'a>],
    count: impl Fn(&EpochSegments<'a>) -> usize,
    total: impl Fn(&EpochSegments<'a>) -> usize,
) -> Vec<UnitCount> {
    let unit = |epochs: &[EpochSegments<'a>]| UnitCount {
        count: epochs.iter().map(&count).sum(),
        total: epochs.iter().map(&total).sum(),
    };
    match runs {
        [run] if run.epochs.len() >= MIN_EPOCHS => run.epochs.chunks(1).map(unit).collect(),
        several => several.iter().map(|run| unit(&run.epochs)).collect(),
    }
}

fn units_text(runs: &[Segments<'_>]) -> String {
    match runs {
        [run] if run.epochs.len() >= MIN_EPOCHS => format!("{} epochs of this run", run.epochs.len()),
        [_] => "updates of this run".into(),
        several => format!("{} seeds", several.len()),
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// Barriers of some epochs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Barriers {
    pub(super) raw: usize,
    pub(super) beyond_noise: usize,
    /// Those of epochs in which the noise is not known.
    pub(super) untested: usize,
    pub(super) updates: usize,
}

/// The barriers of each epoch, or of all epochs if there are many.
fn barriers_text(runs: &[Segments<'_>]) -> String {
    let mut epochs: BTreeMap<u32, Barriers> = BTreeMap::new();
    for epoch in runs.iter().flat_map(|run| &run.epochs) {
        epochs.entry(epoch.epoch).or_default().add(epoch);
    }
    let (Some((first, _)), Some((last, _))) = (epochs.first_key_value(), epochs.last_key_value()) else {
        return "-".into();
    };
    if epochs.len() > MAX_EPOCHS {
        let all = Barriers::of(runs);
        let most = epochs.values().map(|epoch| epoch.raw).max().unwrap_or(0);
        return format!("{} (epochs {first} to {last}, at most {most} in one)", all.text());
    }
    let by_epoch = epochs.iter().map(|(epoch, barriers)| format!("{} (epoch {epoch})", barriers.text()));
    by_epoch.collect::<Vec<String>>().join(", ")
}

impl Barriers {
    /// Those of all epochs.
    pub(super) fn of(runs: &[Segments<'_>]) -> Self {
        let mut all = Self::default();
        runs.iter().flat_map(|run| &run.epochs).for_each(|epoch| all.add(epoch));
        all
    }

    fn add(&mut self, epoch: &EpochSegments<'_>) {
        self.raw += epoch.barriers();
        match epoch.tested_barriers() {
            Some(significant) => self.beyond_noise += significant,
            None => self.untested += epoch.barriers(),
        }
        self.updates += epoch.decided();
    }

    fn text(&self) -> String {
        let Self { raw, beyond_noise, untested, updates } = self;
        let details = match (raw - untested, untested) {
            (_, 0) if beyond_noise == raw => String::new(),
            (_, 0) => format!(" ({beyond_noise} beyond noise)"),
            (0, _) => " (noise not measured)".into(),
            _ => format!(" ({beyond_noise} beyond noise, {untested} without measured noise)"),
        };
        format!("{raw} / {updates}{details}")
    }
}

#[cfg(test)]
mod tests {
    use walk_record::Row;
    use walk_record::rows::{Interpolation, Mode};

    use super::*;
    use crate::comparison::Setting;
    use crate::fixture;

    /// A segment with its floor and the floor's error.
    fn segment(step: u64, min_loss: f64, error: Option<f64>, barrier: bool) -> Row {
        let segment = Interpolation {
            mode: Mode::Adaptive,
            min_loss: min_loss.into(),
            min_loss_error: error.into(),
            ..fixture::segment(barrier, if barrier { 0.1 } else { -0.5 })
        };
        fixture::row(1, step, segment)
    }

    fn zigzag(error: Option<f64>, barriers: u64) -> Vec<Row> {
        (0..41).map(|i| segment(i + 1, if i % 2 == 0 { 1.0 } else { 2.0 }, error, i < barriers)).collect()
    }

    /// Rows with barriers far beyond the noise.
    fn beyond_noise(barriers: u64) -> Vec<Row> {
        let mut rows = zigzag(None, barriers);
        rows.push(fixture::row(1, 41, fixture::noise(1e-9)));
        rows
    }

    fn falling() -> Vec<Row> {
        (0..41).map(|i| segment(i + 1, 50.0 - i as f64, Some(0.01), false)).collect()
    }

    /// The claim for this number of runs, all with the same rows.
    fn claim(test: fn(&Exhibit<'_>) -> Vec<Claim>, rows: Vec<Row>, seeds: usize) -> Claim {
        let runs = vec![fixture::run("mlp", rows); seeds];
        let settings = vec![Setting::new("mlp", &runs)];
        test(&Exhibit { name: "fig01", claims: &[], settings }).remove(0)
    }

    #[test]
    fn floor_moves_get_each_verdict() {
        let verdict = |rows, seeds| claim(floor_moves, rows, seeds).verdict;
        assert_eq!(verdict(zigzag(Some(0.01), 0), 1), Verdict::Holds);
        assert_eq!(verdict(zigzag(Some(0.01), 0), 3), Verdict::Holds);
        // moves within their errors, or without any
        assert_eq!(verdict(zigzag(Some(1.0), 0), 3), Verdict::Undecided);
        assert_eq!(verdict(zigzag(None, 0), 3), Verdict::Undecided);
        // no rise among 40 may hide 5%, and none among 280 cannot
        assert_eq!(
            [1, 3, 7].map(|seeds| verdict(falling(), seeds)),
            [Verdict::Undecided, Verdict::Undecided, Verdict::DoesNotHold]
        );
        assert_eq!(verdict(vec![], 3), Verdict::NotMeasured);
        let one = claim(floor_moves, falling(), 1);
        assert!(one.claim.starts_with("the valley floor moves up and down, in this run: "), "{one:?}");
        assert!(one.statistic.starts_with("updates of this run: "), "{one:?}");
        let three = claim(floor_moves, falling(), 3);
        assert!(!three.claim.contains("this run") && three.statistic.starts_with("3 seeds: "), "{three:?}");
        assert_eq!(three.measured, "up 0 (0 significant), down 120 (120 significant)");
    }

    #[test]
    fn rare_barriers_get_each_verdict() {
        let verdict = |rows, seeds| claim(rare_barriers, rows, seeds).verdict;
        // 0 of 41 updates of one run may be a tenth of them, 0 of 123 cannot
        assert_eq!(verdict(zigzag(None, 0), 1), Verdict::Undecided);
        assert_eq!(verdict(zigzag(None, 0), 3), Verdict::Holds);
        assert_eq!(verdict(zigzag(None, 3), 3), Verdict::Undecided);
        assert_eq!(verdict(beyond_noise(20), 3), Verdict::DoesNotHold);
        assert_eq!(verdict(vec![], 3), Verdict::NotMeasured);
        let nothing = Exhibit { name: "fig01", claims: &[], settings: vec![] };
        assert_eq!(rare_barriers(&nothing)[0].verdict, Verdict::NotMeasured);
    }

    #[test]
    fn noise_alone_makes_barriers_neither_rare_nor_frequent() {
        // as high as the noise of a loss is wide
        let mut rows = zigzag(None, 20);
        rows.push(fixture::row(1, 41, fixture::noise(0.1)));
        let claim = claim(rare_barriers, rows, 3);
        assert_eq!(claim.verdict, Verdict::Undecided);
        assert_eq!(claim.measured, "barriers 60 / 123 (0 beyond noise) (epoch 1)");
    }

    #[test]
    fn barriers_without_measured_noise_show_nothing() {
        let claim = claim(rare_barriers, zigzag(None, 20), 3);
        assert_eq!(claim.verdict, Verdict::Undecided);
        assert_eq!(claim.measured, "barriers 60 / 123 (noise not measured) (epoch 1)");
    }
}
