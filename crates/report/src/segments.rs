//! How high the barriers and how deep the valleys were, epoch by epoch.

use crate::Summary;
use crate::summary::median;
use crate::table::{Table, or_dash};

/// One row per run and epoch: the loss before the first and after the last measured update, the highest barrier, the
/// deviation of the loss at one point (its noise), the median valley depth and position of the minimum, how often the floor
/// rose and fell from one update to the next and how many of these moves are no larger than three standard errors, how
/// often SGD moved over a barrier, and how many steps landed beyond the floor.
///
/// `None` if no run has a segment.
pub fn segment_table(runs: &[Summary]) -> Option<Table> {
    let header = [
        "",
        "epoch",
        "loss, first to last",
        "highest barrier",
        "noise",
        "median depth",
        "median min. alpha",
        "floor up / down (unsure)",
        "moved over",
        "beyond the floor",
    ];
    let rows = runs.iter().flat_map(|run| {
        let measured = run.epochs.iter().filter(|(_, segments)| segments.measured > 0);
        measured.map(move |(epoch, segments)| {
            let moves = &segments.floor_moves;
            vec![
                run.label.clone(),
                if segments.last_epoch > *epoch {
                    format!("{epoch}-{}", segments.last_epoch)
                } else {
                    epoch.to_string()
                },
                format!("{:.5} to {:.5}", segments.first_loss, segments.last_loss),
                number(segments.heights.iter().copied().reduce(f64::max)),
                number(segments.sigma()),
                number(median(&segments.depths)),
                or_dash(median(&segments.min_alphas).map(|alpha| format!("{alpha:.2}"))),
                format!("{} / {} ({})", moves.up, moves.down, moves.unsure),
                format!("{} / {}", moves.over, moves.up + moves.down + moves.level),
                format!("{} / {}", segments.beyond[0], segments.beyond[1]),
            ]
        })
    });
    Table::new("segments", header, rows)
}

fn number(value: Option<f64>) -> String {
    or_dash(value.map(|value| format!("{value:.2e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::row;

    #[test]
    fn shows_heights_and_depths() {
        let rows = [row(1, true, 0.125), row(1, true, 0.25), row(2, false, -0.5)];
        let text = segment_table(&[Summary::new("mlp", &rows)]).unwrap().text(None);
        let cells = |line: usize| -> Vec<String> {
            let cells = text.lines().nth(line).unwrap().split('│').map(|cell| cell.trim().to_owned());
            cells.filter(|cell| !cell.is_empty()).collect()
        };
        let loss = "2.00000 to 1.50000";
        assert_eq!(
            cells(3),
            ["mlp", "1", loss, "2.50e-1", "-", "2.50e-1", "1.00", "0 / 0 (0)", "0 / 0", "0 / 0"]
        );
        assert_eq!(cells(4)[..5], ["mlp", "2", loss, "-", "-"]);
        assert_eq!(segment_table(&[Summary::new("mlp", &[])]), None);
    }
}
