//! Barriers by architecture and epoch (paper, Table 1), and other properties of each epoch's segments.

use walk_record::{Measured, Run};

use super::analysis::{EpochSegments, Segments};
use super::audit::audit;
use super::floor::FloorMoves;
use super::noise_test::{FALSE_POSITIVES, POWER, PaperPrediction, Prediction};
use crate::statistics::median;
use crate::table::{
    Cell, Column, Format, Table, decimals, detail, epochs, main, place, result, scientific, share,
};

/// The barriers, their test against noise, the segments, and the audits of adaptive mode.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let epochs = Segments::new(run).epochs;
    vec![barriers(&epochs), barrier_test(&epochs), paper_barriers(&epochs), segments(&epochs), audit(run)]
}

/// One row per epoch, shown to readers as a column: "barriers / updates measured". Updates left undecided by non-finite losses
/// are counted separately. If the noise of the loss is known, the number of barriers that it does not explain follows.
fn barriers(epochs: &[EpochSegments<'_>]) -> Table {
    let rows = epochs.iter().map(|epoch| {
        let barriers =
            Cell::Share { count: epoch.barriers(), of: epoch.decided(), tested: epoch.tested_barriers() };
        vec![epoch_cell(epoch), barriers, epoch.undecided().into()]
    });
    let columns = [
        place("epoch", "epoch"),
        result("barriers", "barriers / updates"),
        detail("undecided", "undecided (not finite)"),
    ];
    let is_tested = epochs.iter().any(|epoch| epoch.noise_test.is_some());
    let title =
        if is_tested { "Barriers / updates (barriers that exceed the noise)" } else { "Barriers / updates" };
    Table { across: true, ..Table::new("barriers", title, columns, rows) }
}

/// One row per epoch in which the noise is known: the barriers found, how many noise alone would be expected to produce on these
/// curves, how many pass the test at its false-positive rate for the epoch, the noise of the loss at one point and the
/// number of evaluations for it, the smallest height detectable with 95% power, and the largest height found.
fn barrier_test(epochs: &[EpochSegments<'_>]) -> Table {
    let columns = [
        place("epoch", "epoch"),
        main("raw", "raw"),
        main("by_noise", "expected from noise"),
        Column { title: format!("significant at {}%", 100.0 * FALSE_POSITIVES).into(), ..main("tested", "") },
        detail("noise", "noise"),
        detail("evaluations", "evaluations"),
        Column { title: format!("detectable at {}% power", 100.0 * POWER).into(), ..main("detectable", "") },
        main("highest", "highest"),
    ];
    let row = |epoch: &EpochSegments<'_>| {
        let test = epoch.noise_test.as_ref()?;
        Some(vec![
            epoch_cell(epoch),
            epoch.barriers().into(),
            expected(test.expected(&epoch.segments)),
            epoch.tested_barriers().into(),
            scientific(test.noise.sigma, 1),
            test.noise.evaluations.into(),
            scientific(test.detectable(), 1),
            highest(epoch, 1),
        ])
    };
    Table::new("barrier_test", "Barriers and the noise of the loss", columns, epochs.iter().filter_map(row))
}

/// One row per epoch whose curves were evaluated on samples that were augmented once, if the noise of the authors' evaluation
/// was measured: how many barriers that evaluation would be expected to show in that number of updates.
fn paper_barriers(epochs: &[EpochSegments<'_>]) -> Table {
    let columns = [
        place("epoch", "epoch"),
        main("updates", "updates"),
        main("expected", "expected barriers"),
        main("noise", "noise"),
        detail("evaluations", "evaluations"),
    ];
    let row = |epoch: &EpochSegments<'_>| {
        let PaperPrediction { noise, barriers } = epoch.paper.as_ref()?;
        Some(vec![
            epoch_cell(epoch),
            epoch.decided().into(),
            expected(*barriers),
            scientific(noise.sigma, 1),
            noise.evaluations.into(),
        ])
    };
    let title = "Barriers expected from the noise of the authors' evaluation";
    Table::new("paper_barriers", title, columns, epochs.iter().filter_map(row))
}

fn expected(Prediction { count, deviation }: Prediction) -> Cell {
    let format = Format::Decimals(if count.is_some_and(|count| count >= 9.95) { 0 } else { 1 });
    Cell::Estimate { value: count.into(), error: deviation.into(), format }
}

fn epoch_cell(epoch: &EpochSegments<'_>) -> Cell {
    epochs(epoch.epoch, epoch.last_epoch())
}

fn highest(epoch: &EpochSegments<'_>, digits: usize) -> Cell {
    scientific(epoch.heights().reduce(f64::max), digits)
}

/// One row per epoch: the loss before the first and after the last measured update, the highest barrier, the median depth of the
/// valleys and position of their floors, how often the floor rose and fell from one update to the next and how many of these
/// moves are not significant or have unknown error, how often SGD moved over a barrier, and how many steps went beyond the floor.
fn segments(epochs: &[EpochSegments<'_>]) -> Table {
    let columns = [
        place("epoch", "epoch"),
        main("loss", "loss, first to last"),
        detail("highest", "highest barrier"),
        result("depth", "median depth"),
        main("min_alpha", "median α of the floor"),
        result("floor_up", "floor up"),
        main("floor_down", "floor down"),
        detail("floor_unsure", "moves not significant"),
        detail("floor_unknown", "moves with unknown error"),
        result("moved_over", "moved over a barrier"),
        detail("beyond", "beyond the floor"),
    ];
    Table::new("segments", "Valleys along the updates", columns, epochs.iter().map(segment_cells))
}

fn segment_cells(epoch: &EpochSegments<'_>) -> Vec<Cell> {
    let (segments, moves) = (&epoch.segments, &epoch.floor_moves);
    let end = |loss: Option<&Measured>| loss.copied().unwrap_or_default();
    let first = end(segments.first().and_then(|segment| segment.row.losses.first()));
    let last = end(segments.last().and_then(|segment| segment.row.losses.last()));
    let beyond = epoch.landings().filter(|&landing| landing > 0.0).count();
    let FloorMoves { up, down, unsure, unknown, .. } = *moves;
    vec![
        epoch_cell(epoch),
        Cell::Span { first, last, format: Format::Decimals(5) },
        highest(epoch, 2),
        scientific(median(segments.iter().map(|segment| segment.depth)), 2),
        decimals(median(segments.iter().map(|segment| segment.min_alpha)), 2),
        share(up, moves.pairs()),
        share(down, moves.pairs()),
        share(unsure, up + down),
        share(unknown, up + down),
        share(moves.over, moves.pairs()),
        share(beyond, epoch.landings().count()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::Comparison;
    use crate::fixture::{noise, row, run, segment};
    use crate::table::Extent;

    fn of_epochs(run: &Run, table: fn(&[EpochSegments<'_>]) -> Table) -> Table {
        table(&Segments::new(run).epochs)
    }

    #[test]
    fn barriers_show_every_epoch_and_a_dash_where_nothing_was_measured() {
        let mut runs = [
            run("", [row(1, 1, segment(false, -0.5)), row(1, 2, segment(true, 0.25))]),
            run("", [row(10, 1, segment(false, -0.5))]),
        ];
        runs[0].path = "mlp".into();
        runs[1].path = "vgg11".into();
        Run::tell_apart(&mut runs);
        let expected = "\
Barriers / updates
╭───────┬─────────┬──────────╮
│ run   │ epoch 1 │ epoch 10 │
├───────┼─────────┼──────────┤
│ mlp   │   1 / 2 │        - │
│ vgg11 │       - │    0 / 1 │
╰───────┴─────────┴──────────╯";
        let comparison = Comparison::new(&runs);
        let found = comparison.tables(&comparison.by_setting(tables)).remove(0);
        assert_eq!(found.boxed(None, Extent::Main), expected);
        // for three segments, one interior point and two degrees of freedom q is 6.0
        let heights = [0.05, 0.25, 0.8].map(|height| row(1, 1, segment(true, height)));
        let noisy = run("mlp", heights.into_iter().chain([row(1, 1, noise(0.1))]));
        assert_eq!(of_epochs(&noisy, barriers).texts(), [["1", "3 / 3 (1)", "0"]]);
        let test = ["1", "3", "-", "1", "1.0e-1", "3", "8.6e-1", "8.0e-1"];
        assert_eq!(of_epochs(&noisy, barrier_test).texts(), [test]);
        assert!(of_epochs(&run("mlp", []), barriers).rows.is_empty());
    }

    #[test]
    fn segments_show_heights_and_depths() {
        let rows = [(1, 1, true, 0.125), (1, 3, true, 0.25), (2, 5, false, -0.5)];
        let rows = rows.map(|(epoch, step, barrier, height)| row(epoch, step, segment(barrier, height)));
        let found = of_epochs(&run("mlp", rows), segments).texts();
        let loss = "2.00000 to 1.50000";
        let expected =
            ["1", loss, "2.50e-1", "2.50e-1", "1.00", "0 / 0", "0 / 0", "0 / 0", "0 / 0", "0 / 0", "0 / 0"];
        assert_eq!(found[0], expected);
        assert_eq!(found[1][..3], ["2", loss, "-"]);
    }
}
