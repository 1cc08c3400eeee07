//! How high the barriers and how deep the valleys were, epoch by epoch.

use tabled::builder::Builder;
use tabled::settings::{Alignment, Style, object::Columns, object::Object, object::Rows};

use crate::Summary;
use crate::summary::median;

/// One row per run and epoch: the loss before the first and after the last measured update, the highest barrier,
/// the median valley depth, the median position of the minimum, how often the floor rose and fell from one update to the
/// next, and how many steps landed beyond it.
///
/// `None` if no run has a segment.
pub fn segment_table(runs: &[Summary]) -> Option<String> {
    let mut builder = Builder::default();
    builder.push_record([
        "",
        "epoch",
        "loss, first to last",
        "highest barrier",
        "median depth",
        "median min. alpha",
        "floor up / down",
        "beyond the floor",
    ]);
    for run in runs {
        for (epoch, segments) in run.epochs.iter().filter(|(_, segments)| segments.measured > 0) {
            let highest = segments.heights.iter().copied().reduce(f64::max);
            builder.push_record([
                run.label.clone(),
                epoch.to_string(),
                format!("{:.5} to {:.5}", segments.first_loss, segments.last_loss),
                number(highest),
                number(median(&segments.depths)),
                median(&segments.min_alphas).map_or("-".into(), |alpha| format!("{alpha:.2}")),
                format!("{} / {}", segments.floor_moves[0], segments.floor_moves[1]),
                format!("{} / {}", segments.beyond[0], segments.beyond[1]),
            ]);
        }
    }
    if builder.count_records() == 1 {
        return None;
    }
    let mut table = builder.build();
    table.with(Style::rounded());
    table.modify(Columns::new(1..).not(Rows::first()), Alignment::right());
    Some(table.to_string())
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.2e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::row;

    #[test]
    fn shows_heights_and_depths() {
        let rows = [row(1, true, 0.125), row(1, true, 0.25), row(2, false, -0.5)];
        let expected = "\
╭─────┬───────┬─────────────────────┬─────────────────┬──────────────┬───────────────────╮
│     │ epoch │ loss, first to last │ highest barrier │ median depth │ median min. alpha │
├─────┼───────┼─────────────────────┼─────────────────┼──────────────┼───────────────────┤
│ mlp │     1 │  2.00000 to 1.50000 │         2.50e-1 │      2.50e-1 │              1.00 │
│ mlp │     2 │  2.00000 to 1.50000 │               - │      2.50e-1 │              1.00 │
╰─────┴───────┴─────────────────────┴─────────────────┴──────────────┴───────────────────╯";
        assert_eq!(segment_table(&[Summary::new("mlp", &rows)]).unwrap(), expected);
    }
}
