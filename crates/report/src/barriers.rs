//! Table 1 of the paper: barriers crossed, architectures by epochs.

use std::collections::BTreeSet;

use crate::Summary;
use crate::table::Table;

/// Rows are runs, columns are epochs, cells "barriers / updates measured"; "-" where nothing was measured. Where the noise of
/// the loss is known, how many barriers are higher than one and three standard errors follows.
///
/// `None` if no run has a segment.
pub fn barrier_table(runs: &[Summary]) -> Option<Table> {
    let epochs: BTreeSet<u32> = runs.iter().flat_map(|run| run.epochs.keys().copied()).collect();
    let measured = |run: &&Summary| run.epochs.values().any(|segments| segments.measured > 0);
    let header = epochs.iter().map(|epoch| format!("epoch {epoch}"));
    let header = std::iter::once("barriers / updates".to_owned()).chain(header);
    let rows = runs.iter().filter(measured).map(|run| {
        let cell = |epoch| match run.epochs.get(epoch) {
            Some(segments) if segments.measured > 0 => {
                let above = segments.barriers_above(1.0).zip(segments.barriers_above(3.0));
                let above = above.map(|(one, three)| format!(" ({one} > 1 se, {three} > 3 se)"));
                let to = if segments.last_epoch > *epoch {
                    format!(" (to epoch {})", segments.last_epoch)
                } else {
                    String::new()
                };
                format!("{} / {}{}{to}", segments.barriers, segments.measured, above.unwrap_or_default())
            }
            _ => "-".into(),
        };
        std::iter::once(run.label.clone()).chain(epochs.iter().map(cell)).collect()
    });
    Table::new("barriers", header, rows)
}

#[cfg(test)]
mod tests {
    use walk_record::{NoiseRow, Row};

    use super::*;
    use crate::summary::tests::row;

    #[test]
    fn shows_every_epoch_and_a_dash_where_nothing_was_measured() {
        let a = Summary::new("mlp", &[row(1, false, -0.5), row(1, true, 0.25)]);
        let b = Summary::new("vgg11", &[row(10, false, -0.5)]);
        let expected = "\
╭────────────────────┬─────────┬──────────╮
│ barriers / updates │ epoch 1 │ epoch 10 │
├────────────────────┼─────────┼──────────┤
│ mlp                │   1 / 2 │        - │
│ vgg11              │       - │    0 / 1 │
╰────────────────────┴─────────┴──────────╯";
        assert_eq!(barrier_table(&[a, b]).unwrap().text(None), expected);
        assert_eq!(barrier_table(&[Summary::new("mlp", &[])]), None);
        let noise = Row::Noise(NoiseRow {
            epoch: 1,
            iteration: 1,
            step: 1,
            mean_loss: 1.0,
            sigma: 0.1,
            evaluations: 3,
            batch_norm: "batch".into(),
            evaluation: "fixed".into(),
            rounding: None,
        });
        let noisy =
            Summary::new("mlp", &[row(1, true, 0.05), row(1, true, 0.25), row(1, true, 0.5), noise.clone()]);
        // the noise of another kind of evaluation says nothing about these
        let Row::Noise(noise) = noise else { unreachable!() };
        let other = Row::Noise(NoiseRow { evaluation: "paper".into(), ..noise });
        let apart = Summary::new("mlp", &[row(1, true, 0.05), other]);
        assert!(barrier_table(&[apart]).unwrap().text(None).contains("│   1 / 1 │"));
        assert!(barrier_table(&[noisy]).unwrap().text(None).contains("3 / 3 (2 > 1 se, 1 > 3 se)"));
    }
}
