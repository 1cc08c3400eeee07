//! Training progress: loss and accuracy by epoch.

use walk_record::rows::Epoch;
use walk_record::{Measured, Run};

use crate::curve::Curve;
use crate::table::{Table, decimals, percent, place, result};

/// One row per epoch: loss and accuracy on its batches, and on the validation samples at its end. If each epoch
/// is one update, the last alone.
pub(crate) fn tables(run: &Run) -> Vec<Table> {
    let rows = run.by_epoch::<Epoch>().into_values().filter_map(|rows| {
        let last = rows.last()?;
        let [train, valid] = [last.train_loss, last.valid_loss].map(|loss| decimals(loss, 4));
        let [train_accuracy, valid_accuracy] =
            [last.train_accuracy, last.valid_accuracy].map(|accuracy| percent(accuracy, 2));
        Some(vec![(last.at.epoch as usize).into(), train, valid, train_accuracy, valid_accuracy])
    });
    let columns = [
        place("epoch", "epoch"),
        result("train_loss", "training loss"),
        result("valid_loss", "validation loss"),
        result("train_accuracy", "training accuracy"),
        result("valid_accuracy", "validation accuracy"),
    ];
    vec![Table::new("training", "Loss and accuracy", columns, rows)]
}

/// Losses and accuracies by epoch.
pub(crate) fn curves(run: &Run) -> Vec<Curve> {
    let curve = |name: &str, title: &str, y: &str, variant: &str, value: fn(&Epoch) -> Measured| {
        let points = run.rows::<Epoch>();
        let points = points.filter_map(|row| Some((f64::from(row.at.epoch), value(&row).get()?))).collect();
        let mut curve = Curve { points, variant: variant.into(), ..Curve::new(name, title, "epoch", y) };
        curve.x.integer = true;
        curve
    };
    let loss = |variant, value| curve("loss", "Loss over training", "loss", variant, value);
    let accuracy =
        |variant, value| curve("accuracy", "Accuracy over training", "accuracy, %", variant, value);
    vec![
        loss("training", |row| row.train_loss),
        loss("validation", |row| row.valid_loss),
        accuracy("training", |row| percentage(row.train_accuracy)),
        accuracy("validation", |row| percentage(row.valid_accuracy)),
    ]
}

fn percentage(share: Measured) -> Measured {
    share.get().map(|share| 100.0 * share).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn losses_and_accuracy_are_shown_by_epoch() {
        let epoch = |valid_loss: f64| Epoch {
            train_loss: 0.5.into(),
            train_accuracy: 0.5.into(),
            valid_loss: valid_loss.into(),
            valid_accuracy: 0.75.into(),
        };
        let run = fixture::run("mlp", [fixture::row(1, 5, epoch(0.6)), fixture::row(2, 10, epoch(f64::NAN))]);
        assert_eq!(
            tables(&run)[0].texts(),
            [["1", "0.5000", "0.6000", "50.00%", "75.00%"], ["2", "0.5000", "-", "50.00%", "75.00%"]]
        );
        let points: Vec<Vec<(f64, f64)>> = curves(&run).into_iter().map(|curve| curve.points).collect();
        assert_eq!(
            points,
            [
                vec![(1.0, 0.5), (2.0, 0.5)],
                vec![(1.0, 0.6)],
                vec![(1.0, 50.0), (2.0, 50.0)],
                vec![(1.0, 75.0), (2.0, 75.0)]
            ]
        );
    }
}
