//! Barriers, architectures by epochs (paper, Table 1), and what else the segments of each epoch say.

use std::collections::BTreeSet;

use walk_record::{Measured, Run};

use super::analysis::{EpochSegments, Segments};
use super::audit::audit;
use super::floor::FloorMoves;
use super::noise_test::{FALSE_POSITIVES, POWER, PaperPrediction, Prediction};
use crate::statistics::median;
use crate::table::{Table, decimals, or_dash, scientific};

/// The barriers, their test against noise, the segments, and the audits of adaptive mode.
pub(crate) fn tables(runs: &[Run]) -> Vec<Table> {
    vec![barriers(runs), barrier_test(runs), paper_barriers(runs), segments(runs), audit(runs)]
}

/// Rows are runs, columns are epochs, cells "barriers / updates measured"; "-" where nothing was measured. Updates whose losses
/// are not finite and leave the verdict open are counted apart. Where the noise of the loss is known, the number of barriers
/// that it does not explain follows.
fn barriers(runs: &[Run]) -> Table {
    let measured = runs.iter().map(|run| (run, Segments::new(run).epochs));
    let measured: Vec<(&Run, Vec<EpochSegments<'_>>)> =
        measured.filter(|(_, epochs)| !epochs.is_empty()).collect();
    let epochs: BTreeSet<u32> =
        measured.iter().flat_map(|(_, epochs)| epochs.iter().map(|epoch| epoch.epoch)).collect();
    let cell = |epoch: &EpochSegments<'_>| {
        let tested = epoch.noise_test.as_ref().map(|_| format!(" ({})", epoch.tested_barriers()));
        let last = epoch.last_epoch();
        let to = if last > epoch.epoch { format!(" (to epoch {last})") } else { String::new() };
        let open = match epoch.undecided() {
            0 => String::new(),
            n => format!(" ({n} open, not finite)"),
        };
        format!("{} / {}{}{open}{to}", epoch.barriers(), epoch.decided(), tested.unwrap_or_default())
    };
    let rows = measured.iter().map(|(run, measured)| {
        let cell = |number: &u32| or_dash(measured.iter().find(|epoch| epoch.epoch == *number).map(cell));
        std::iter::once(run.label.clone()).chain(epochs.iter().map(cell)).collect()
    });
    let header = epochs.iter().map(|epoch| format!("epoch {epoch}"));
    let is_tested = measured.iter().any(|(_, epochs)| epochs.iter().any(|epoch| epoch.noise_test.is_some()));
    let corner = if is_tested { "barriers / updates (tested)" } else { "barriers / updates" };
    Table::new("barriers", std::iter::once(corner.to_owned()).chain(header), rows)
}

/// One row per run and epoch in which the noise is known: the barriers found, how many noise alone would be expected to give on
/// these curves, how many pass the test at its false-positive rate for the epoch, the noise of the loss at one point and the
/// evaluations behind it, the smallest height that would have been seen with 95% power, and the greatest height found.
fn barrier_test(runs: &[Run]) -> Table {
    let rate = format!("at {}%", 100.0 * FALSE_POSITIVES);
    let seen = format!("{}% seen", 100.0 * POWER);
    // short, so that the table fits a terminal
    let header = ["", "epoch", "raw", "by noise", &rate, "noise", "evals", &seen, "highest"];
    let rows = runs.iter().flat_map(|run| {
        let row = |epoch: &EpochSegments<'_>| {
            let test = epoch.noise_test.as_ref()?;
            Some(vec![
                run.label.clone(),
                epochs_text(epoch),
                epoch.barriers().to_string(),
                expected_text(test.expected(&epoch.segments)),
                epoch.tested_barriers().to_string(),
                scientific(test.noise.sigma.into(), 1),
                test.noise.evaluations.to_string(),
                scientific(test.detectable().into(), 1),
                highest(epoch, 1),
            ])
        };
        Segments::new(run).epochs.iter().filter_map(row).collect::<Vec<_>>()
    });
    Table::new("barrier_test", header, rows)
}

/// One row per run and epoch whose curves were evaluated on samples that were augmented once, if the noise of the authors'
/// evaluation was measured: how many barriers that evaluation would be expected to show in so many updates.
fn paper_barriers(runs: &[Run]) -> Table {
    let header = ["", "epoch", "updates", "expected", "noise", "evals"];
    let rows = runs.iter().flat_map(|run| {
        let row = |epoch: &EpochSegments<'_>| {
            let PaperPrediction { noise, barriers } = epoch.paper.as_ref()?;
            Some(vec![
                run.label.clone(),
                epochs_text(epoch),
                epoch.decided().to_string(),
                expected_text(*barriers),
                scientific(noise.sigma.into(), 1),
                noise.evaluations.to_string(),
            ])
        };
        Segments::new(run).epochs.iter().filter_map(row).collect::<Vec<_>>()
    });
    Table::new("paper_barriers", header, rows)
}

fn expected_text(Prediction { count, deviation }: Prediction) -> String {
    or_dash(count.map(|count| {
        let digits = if count < 9.95 { 1 } else { 0 };
        format!("{} +- {}", decimals(count.into(), digits), decimals(deviation.into(), digits))
    }))
}

fn epochs_text(epoch: &EpochSegments<'_>) -> String {
    match epoch.last_epoch() {
        last if last > epoch.epoch => format!("{}-{last}", epoch.epoch),
        _ => epoch.epoch.to_string(),
    }
}

fn highest(epoch: &EpochSegments<'_>, digits: usize) -> String {
    scientific(epoch.heights().reduce(f64::max).into(), digits)
}

/// One row per run and epoch: the loss before the first and after the last measured update, the highest barrier, the median depth of the valleys and position of their floors, how often the floor rose and fell from
/// one update to the next and how many of these moves are not sure ("-" where no error is known), how often SGD moved over a
/// barrier, and how many steps landed beyond the floor.
fn segments(runs: &[Run]) -> Table {
    let header = [
        "",
        "epoch",
        "loss, first to last",
        "highest barrier",
        "median depth",
        "median min. alpha",
        "floor up / down (unsure)",
        "moved over",
        "beyond the floor",
    ];
    let rows = runs.iter().flat_map(|run| {
        let row = |epoch: &EpochSegments<'_>| [&[run.label.clone()][..], &segment_cells(epoch)].concat();
        Segments::new(run).epochs.iter().map(row).collect::<Vec<_>>()
    });
    Table::new("segments", header, rows)
}

fn segment_cells(epoch: &EpochSegments<'_>) -> Vec<String> {
    let (segments, moves) = (&epoch.segments, &epoch.floor_moves);
    let end = |loss: Option<&Measured>| loss.copied().unwrap_or_default();
    let first = end(segments.first().and_then(|segment| segment.row.losses.first()));
    let last = end(segments.last().and_then(|segment| segment.row.losses.last()));
    let beyond = epoch.landings().filter(|&landing| landing > 0.0).count();
    vec![
        epochs_text(epoch),
        format!("{} to {}", decimals(first, 5), decimals(last, 5)),
        highest(epoch, 2),
        scientific(median(segments.iter().map(|segment| segment.depth)), 2),
        format!("{:.2}", median(segments.iter().map(|segment| segment.min_alpha))),
        format!("{} / {} ({})", moves.up, moves.down, unsure(moves)),
        format!("{} / {}", moves.over, moves.pairs()),
        format!("{beyond} / {}", epoch.landings().count()),
    ]
}

fn unsure(moves: &FloorMoves) -> String {
    match moves.unknown {
        0 => moves.unsure.to_string(),
        unknown if unknown == moves.up + moves.down => "-".into(),
        unknown => format!("{}, {unknown} unknown", moves.unsure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{noise, row, run, segment};

    #[test]
    fn barriers_show_every_epoch_and_a_dash_where_nothing_was_measured() {
        let a = run("mlp", [row(1, 1, segment(false, -0.5)), row(1, 2, segment(true, 0.25))]);
        let b = run("vgg11", [row(10, 1, segment(false, -0.5))]);
        let expected = "\
╭────────────────────┬─────────┬──────────╮
│ barriers / updates │ epoch 1 │ epoch 10 │
├────────────────────┼─────────┼──────────┤
│ mlp                │   1 / 2 │        - │
│ vgg11              │       - │    0 / 1 │
╰────────────────────┴─────────┴──────────╯";
        assert_eq!(barriers(&[a, b]).text(None), expected);
        // for three segments, one interior point and two degrees of freedom q is 6.0
        let heights = [0.05, 0.25, 0.8].map(|height| row(1, 1, segment(true, height)));
        let noisy = run("mlp", heights.into_iter().chain([row(1, 1, noise(0.1))]));
        assert_eq!(barriers(std::slice::from_ref(&noisy)).rows, [["mlp", "3 / 3 (1)"]]);
        let test = ["mlp", "1", "3", "-", "1", "1.0e-1", "3", "8.6e-1", "8.0e-1"];
        assert_eq!(barrier_test(&[noisy]).rows, [test]);
        assert!(barriers(&[run("mlp", [])]).rows.is_empty());
    }

    #[test]
    fn segments_show_heights_and_depths() {
        let rows = [(1, 1, true, 0.125), (1, 3, true, 0.25), (2, 5, false, -0.5)];
        let rows = rows.map(|(epoch, step, barrier, height)| row(epoch, step, segment(barrier, height)));
        let found = segments(&[run("mlp", rows)]).rows;
        let loss = "2.00000 to 1.50000";
        assert_eq!(found[0], ["mlp", "1", loss, "2.50e-1", "2.50e-1", "1.00", "0 / 0 (0)", "0 / 0", "0 / 0"]);
        assert_eq!(found[1][..4], ["mlp", "2", loss, "-"]);
    }

    #[test]
    fn unsure_moves_are_a_dash_where_no_error_is_known() {
        let moves = |unsure, unknown| FloorMoves { up: 2, down: 1, unsure, unknown, ..FloorMoves::default() };
        assert_eq!(
            [unsure(&moves(1, 0)), unsure(&moves(0, 3)), unsure(&moves(1, 1))],
            ["1", "-", "1, 1 unknown"]
        );
    }
}
