//! "SGD rarely crosses barriers", and "the valley floor moves up and down" (paper, Section 3).

use super::claim::{Claim, Exhibit, Verdict};
use crate::interpolation::{EpochSegments, FloorMoves, Segments};
use crate::statistics::proportion_bounds;

/// Rarely: in fewer than this share of the updates. The paper's largest is 23 of 450, 5.1%.
const RARE: f64 = 0.1;

/// The counts of more epochs are added up.
const MAX_EPOCHS: usize = 5;

/// Each run crosses barriers rarely.
pub(super) fn rare_barriers(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    Claim::for_each_run("SGD rarely crosses barriers", exhibit, |claim, run| {
        let epochs = Segments::new(run).epochs;
        if epochs.is_empty() {
            return vec![];
        }
        let (sure, updates) =
            (total(&epochs, EpochSegments::tested_barriers), total(&epochs, EpochSegments::decided));
        let [low, high] = proportion_bounds(sure, updates);
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        let statistic = format!(
            "proportion {} to {} (Clopper-Pearson, each bound at 95%), rare below {}",
            percent(low),
            percent(high),
            percent(RARE)
        );
        vec![Claim {
            claim: claim.into(),
            exhibit: exhibit.name.into(),
            measured: format!("barriers {}", barriers_text(&epochs)),
            statistic,
            verdict: Verdict::of_interval([low, high], [f64::NEG_INFINITY, RARE]),
        }]
    })
}

/// The floor of each run moves both up and down.
pub(super) fn floor_moves(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    Claim::for_each_run("the valley floor moves up and down", exhibit, |claim, run| {
        let segments = Segments::new(run);
        let moves = segments.floor_moves;
        let FloorMoves { up, down, sure_up, sure_down, .. } = moves;
        let verdict = match moves {
            FloorMoves { up: 0, down: 0, .. } => return vec![],
            FloorMoves { up: 0, .. } | FloorMoves { down: 0, .. } => Verdict::DoesNotHold,
            FloorMoves { sure_up: 0, .. } | FloorMoves { sure_down: 0, .. } => Verdict::Undecided,
            _ => Verdict::Holds,
        };
        vec![Claim {
            claim: claim.into(),
            exhibit: exhibit.name.into(),
            measured: format!("up {up} ({sure_up} surely), down {down} ({sure_down} surely)"),
            statistic: format!("sure by Student's t (Bonferroni, {} pairs)", moves.pairs()),
            verdict,
        }]
    })
}

/// The barriers of each epoch, or of all if there are many.
fn barriers_text(epochs: &[EpochSegments<'_>]) -> String {
    let count = |epochs: &[EpochSegments<'_>]| {
        let (sure, all) =
            (total(epochs, EpochSegments::tested_barriers), total(epochs, EpochSegments::barriers));
        let raw = if sure == all { String::new() } else { format!(" ({all} raw)") };
        format!("{sure} / {}{raw}", total(epochs, EpochSegments::decided))
    };
    if let [first, .., last] = epochs
        && epochs.len() > MAX_EPOCHS
    {
        let most = epochs.iter().map(EpochSegments::tested_barriers).max().unwrap_or(0);
        return format!(
            "{} (epochs {} to {}, at most {most} in one)",
            count(epochs),
            first.epoch,
            last.epoch
        );
    }
    let by_epoch = epochs.chunks(1).map(|epoch| format!("{} (epoch {})", count(epoch), epoch[0].epoch));
    by_epoch.collect::<Vec<String>>().join(", ")
}

fn total<'a>(epochs: &[EpochSegments<'a>], count: impl Fn(&EpochSegments<'a>) -> usize) -> usize {
    epochs.iter().map(count).sum()
}

#[cfg(test)]
mod tests {
    use walk_record::Row;
    use walk_record::rows::{Interpolation, Mode};

    use super::*;
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

    fn verdict(test: impl Fn(&Exhibit<'_>) -> Vec<Claim>, rows: Vec<Row>) -> Verdict {
        test(&Exhibit { name: "fig01", claims: &[], runs: &[fixture::run("mlp", rows)] })[0].verdict
    }

    #[test]
    fn floor_moves_get_each_verdict() {
        let verdict = |rows| verdict(floor_moves, rows);
        assert_eq!(verdict(zigzag(Some(0.01), 0)), Verdict::Holds);
        // moves within their errors, or without any
        assert_eq!(verdict(zigzag(Some(1.0), 0)), Verdict::Undecided);
        assert_eq!(verdict(zigzag(None, 0)), Verdict::Undecided);
        let falling = (0..40).map(|i| segment(i + 1, 50.0 - i as f64, Some(0.01), false)).collect();
        assert_eq!(verdict(falling), Verdict::DoesNotHold);
        assert_eq!(verdict(vec![]), Verdict::NotMeasured);
    }

    #[test]
    fn rare_barriers_get_each_verdict() {
        let verdict = |rows| verdict(rare_barriers, rows);
        assert_eq!(verdict(zigzag(None, 0)), Verdict::Holds);
        // one barrier in 41 may be 5 in 100 or 11
        assert_eq!(verdict(zigzag(None, 1)), Verdict::Undecided);
        assert_eq!(verdict(zigzag(None, 20)), Verdict::DoesNotHold);
        assert_eq!(verdict(vec![]), Verdict::NotMeasured);
        let nothing = Exhibit { name: "fig01", claims: &[], runs: &[] };
        assert_eq!(rare_barriers(&nothing)[0].verdict, Verdict::NotMeasured);
    }
}
