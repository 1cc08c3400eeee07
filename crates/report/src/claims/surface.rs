//! "SGD rarely crosses barriers", and the ups and downs of the valley floor (paper, Section 3).

use walk_record::{InterpolationRow, Row};

use super::statistics::{bonferroni, share_bounds};
use super::{Claim, Exhibit, ExhibitRun, Verdict};
use crate::Summary;

/// Rarely: in fewer than so large a share of the updates. The paper's largest is 23 of 450, 5.1%.
const RARELY: f64 = 0.1;

/// More epochs are summed up.
const MOST_EPOCHS: usize = 5;

/// Of each run: barriers are crossed rarely.
pub(super) fn rarely(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "SGD rarely crosses barriers";
    if exhibit.runs.is_empty() {
        return vec![Claim::not_measured(claim, exhibit)];
    }
    let each = exhibit.runs.iter().map(|run| {
        let counts = Barriers::of(run);
        let (statistic, verdict) = counts.test();
        Claim {
            claim: format!("{claim}: {}", run.label),
            exhibit: exhibit.name.into(),
            measured: counts.text,
            statistic,
            verdict,
        }
    });
    each.collect()
}

/// Of the exhibit's run: barriers are crossed rarely, and the floor goes up and down.
pub(super) fn observations(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "barriers are rare, the floor goes up and down";
    let [run] = exhibit.runs else { return vec![Claim::not_measured(claim, exhibit)] };
    let (counts, floor) = (Barriers::of(run), Floor::of(run.rows));
    let (statistic, verdict) = counts.test();
    let Floor { up, down, sure_up, sure_down, .. } = floor;
    vec![Claim {
        claim: format!("{claim}: {}", run.setting),
        exhibit: exhibit.name.into(),
        measured: format!("{}; up {up} ({sure_up} surely), down {down} ({sure_down} surely)", counts.text),
        statistic: format!("{statistic}; moves beyond {:.1} se", floor.bound),
        // the worse of the two
        verdict: verdict.max(floor.verdict()),
    }]
}

/// A run's barriers.
struct Barriers {
    /// Higher than three standard errors, where the noise of the loss is known.
    count: usize,
    updates: usize,
    /// By epoch.
    text: String,
}

impl Barriers {
    fn of(run: &ExhibitRun<'_>) -> Self {
        let summary = Summary::new(run.label, run.rows);
        let mut epochs = vec![];
        for (&epoch, segments) in summary.epochs.iter().filter(|(_, segments)| segments.measured > 0) {
            let sure = segments.barriers_above(3.0).unwrap_or(segments.barriers);
            epochs.push((epoch, sure, segments.barriers, segments.measured));
        }
        let count = epochs.iter().map(|(_, sure, ..)| sure).sum();
        let updates = epochs.iter().map(|(.., measured)| measured).sum();
        let of = |sure: usize, raw: usize, measured: usize| {
            let raw = if sure == raw { String::new() } else { format!(" ({raw} raw)") };
            format!("{sure} / {measured}{raw}")
        };
        let text = if let [(first, ..), .., (last, ..)] = epochs[..]
            && epochs.len() > MOST_EPOCHS
        {
            let raw = epochs.iter().map(|(_, _, raw, _)| raw).sum();
            let most = epochs.iter().map(|(_, sure, ..)| sure).max().unwrap_or(&0);
            let all = of(count, raw, updates);
            format!("{all} (epochs {first} to {last}, at most {most} in one)")
        } else {
            let each =
                epochs.iter().map(|&(epoch, sure, raw, n)| format!("{} (epoch {epoch})", of(sure, raw, n)));
            each.collect::<Vec<String>>().join(", ")
        };
        Self { count, updates, text: format!("barriers {text}") }
    }

    fn test(&self) -> (String, Verdict) {
        if self.updates == 0 {
            return ("-".into(), Verdict::NotMeasured);
        }
        let [low, high] = share_bounds(self.count, self.updates);
        let verdict = if high < RARELY {
            Verdict::Holds
        } else if low > RARELY {
            Verdict::DoesNotHold
        } else {
            Verdict::Undecided
        };
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        let bounds = format!("{} to {}", percent(low), percent(high));
        (format!("share {bounds} (Clopper-Pearson, 95% each), rare below {}", percent(RARELY)), verdict)
    }
}

/// How the floor moved from one update to the next.
#[derive(Debug, Default, PartialEq)]
struct Floor {
    up: usize,
    down: usize,
    /// Beyond `bound` standard errors of the difference.
    sure_up: usize,
    sure_down: usize,
    bound: f64,
}

impl Floor {
    fn of(rows: &[Row]) -> Self {
        let segments =
            rows.iter().filter_map(|row| if let Row::Interpolation(row) = row { Some(row) } else { None });
        let segments: Vec<&InterpolationRow> = segments.collect();
        let pairs: Vec<&[&InterpolationRow]> =
            segments.windows(2).filter(|pair| pair[0].step + 1 == pair[1].step).collect();
        let bound = bonferroni(pairs.len());
        let error = |row: &InterpolationRow| row.min_loss_error.or_else(|| noise(row, rows));
        let mut floor = Self { bound, ..Self::default() };
        for pair in pairs {
            let rise = pair[1].min_loss - pair[0].min_loss;
            // without an error no move is sure
            let errors = error(pair[0]).zip(error(pair[1]));
            let sure = errors.is_some_and(|(a, b)| rise.abs() > bound * a.hypot(b));
            floor.up += usize::from(rise > 0.0);
            floor.down += usize::from(rise < 0.0);
            floor.sure_up += usize::from(rise > 0.0 && sure);
            floor.sure_down += usize::from(rise < 0.0 && sure);
        }
        floor
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self { up: 0, down: 0, .. } => Verdict::NotMeasured,
            Self { up: 0, .. } | Self { down: 0, .. } => Verdict::DoesNotHold,
            Self { sure_up: 0, .. } | Self { sure_down: 0, .. } => Verdict::Undecided,
            _ => Verdict::Holds,
        }
    }
}

/// The deviation of the loss at one point, measured as the segment was: in its epoch, or in the nearest before or after.
fn noise(of: &InterpolationRow, rows: &[Row]) -> Option<f64> {
    let noises = rows.iter().filter_map(|row| match row {
        Row::Noise(row) if row.evaluation == of.evaluation && row.batch_norm == of.batch_norm => Some(row),
        _ => None,
    });
    noises.min_by_key(|row| row.epoch.abs_diff(of.epoch)).map(|row| row.sigma)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::row;

    /// A segment with its floor and the floor's error.
    fn segment(step: u64, min_loss: f64, error: Option<f64>, barrier: bool) -> Row {
        match row(1, barrier, if barrier { 0.1 } else { -0.5 }) {
            Row::Interpolation(row) => Row::Interpolation(walk_record::InterpolationRow {
                step,
                min_loss,
                min_loss_error: error,
                ..row
            }),
            other => other,
        }
    }

    fn verdict(rows: &[Row]) -> Verdict {
        let runs = [ExhibitRun { label: "mlp", setting: "mlp", batch_size: 100, rows }];
        observations(&Exhibit { name: "fig01", runs: &runs })[0].verdict
    }

    #[test]
    fn each_verdict_comes_about() {
        let zigzag = |error, barriers: usize| -> Vec<Row> {
            (0..41)
                .map(|i| segment(i + 1, if i % 2 == 0 { 1.0 } else { 2.0 }, error, (i as usize) < barriers))
                .collect()
        };
        assert_eq!(verdict(&zigzag(Some(0.01), 0)), Verdict::Holds);
        // moves within their errors, or without any
        assert_eq!(verdict(&zigzag(Some(1.0), 0)), Verdict::Undecided);
        assert_eq!(verdict(&zigzag(None, 0)), Verdict::Undecided);
        // one barrier in 41 may be 5 in 100 or 11
        assert_eq!(verdict(&zigzag(Some(0.01), 1)), Verdict::Undecided);
        assert_eq!(verdict(&zigzag(Some(0.01), 20)), Verdict::DoesNotHold);
        let falling: Vec<Row> = (0..40).map(|i| segment(i + 1, 50.0 - i as f64, Some(0.01), false)).collect();
        assert_eq!(verdict(&falling), Verdict::DoesNotHold);
        assert_eq!(verdict(&[]), Verdict::NotMeasured);
        assert_eq!(observations(&Exhibit { name: "fig01", runs: &[] })[0].verdict, Verdict::NotMeasured);
    }
}
