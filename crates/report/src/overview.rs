//! A summary of a run: what was run, how well the network performs, and how long it took.

use serde_json::{Value, json};
use walk_record::Run;
use walk_record::rows::{Epoch, Kind};

use crate::error::ReportError;
use crate::interpolation::Segments;
use crate::plural::counted;
use crate::table::{decimals, percent};

/// Maximum number of differing keys shown.
const MAX_SWEPT: usize = 6;

/// Lines that say what was run, how it differs from the runs shown with it, and how well the network performs.
pub fn headline(run: &Run) -> String {
    let info = &run.info;
    let mut lines = vec![];
    if !run.swept.is_empty() {
        let value =
            |key: &String| format!("{key} = {}", run.value(key).map_or("-".into(), ToString::to_string));
        let values: Vec<String> = run.swept.iter().take(MAX_SWEPT).map(value).collect();
        let more = if run.swept.len() > MAX_SWEPT { ", ..." } else { "" };
        lines.push(format!("{}: {}{more}", run.label, values.join(", ")));
    }
    lines.push(format!(
        "{}: {} with {} parameters on {}, {} training samples",
        info.name, info.plugin.name, info.network.n_params, info.data.set, info.data.train
    ));
    if let Some(fork) = &info.fork {
        let changes = if fork.changes.is_empty() { "nothing".into() } else { fork.changes.join(", ") };
        lines.push(format!("forked from {} after update {}, changed: {changes}", fork.run, fork.step));
    }
    if let Some(last) = run.rows::<Epoch>().next_back() {
        lines.push(format!(
            "after epoch {}: training loss {}, validation loss {}, validation accuracy {}",
            last.at.epoch,
            decimals(last.train_loss, 4).text(),
            decimals(last.valid_loss, 4).text(),
            percent(last.valid_accuracy, 2).text()
        ));
    }
    let not_finite = run.not_finite();
    if !not_finite.is_empty() {
        let counts = not_finite.iter().map(|(kind, &count)| format!("{} of {kind}", counted(count, "value")));
        let counts: Vec<String> = counts.collect();
        lines.push(format!("missing because not finite: {}", counts.join(", ")));
    }
    lines.join("\n")
}

/// The status of the run: running, stopped, failed or finished.
pub(crate) fn status(run: &Run) -> String {
    format!("{:?}", run.info.status).to_lowercase()
}

/// How long the run took, and the time of each probe.
pub fn cost(run: &Run) -> String {
    let Some(elapsed) = run.info.elapsed_s else { return "not finished".into() };
    let probes = run.info.probes.iter().filter(|probe| probe.measurements > 0);
    let probes: Vec<String> =
        probes.map(|probe| format!("{}: {:.1} s", probe.name, probe.elapsed_s)).collect();
    let probes = if probes.is_empty() { String::new() } else { format!(" ({})", probes.join(", ")) };
    format!("time: {elapsed:.1} s{probes}")
}

/// The run's folder and description, the row of its last epoch, its barriers by epoch (the tested ones are null without noise),
/// and how many values were not finite.
///
/// # Errors
/// [`ReportError::Record`] or [`ReportError::Json`] if the row cannot be written.
pub fn summary_json(run: &Run) -> Result<Value, ReportError> {
    let last = run.records.iter().rev().find(|row| matches!(row.kind, Kind::Epoch(_)));
    let last: Value = match last {
        Some(row) => serde_json::from_str(&row.to_json()?)?,
        None => Value::Null,
    };
    let barriers = Segments::new(run).epochs.into_iter().map(|epoch| {
        let tested = epoch.noise_test.as_ref().map(|_| epoch.tested_barriers());
        json!({ "epoch": epoch.epoch, "barriers": epoch.barriers(), "tested": tested, "updates": epoch.decided() })
    });
    let barriers: Vec<Value> = barriers.collect();
    Ok(
        json!({ "run": run.path, "info": run.info, "last_epoch": last, "barriers": barriers, "not_finite": run.not_finite() }),
    )
}

#[cfg(test)]
mod tests {
    use walk_record::ConfigValue;

    use super::*;
    use crate::fixture;

    #[test]
    fn a_run_is_summed_up() {
        let epoch = Epoch {
            train_loss: 0.5.into(),
            train_accuracy: 0.7.into(),
            valid_loss: f64::NAN.into(),
            valid_accuracy: 0.75.into(),
        };
        let rows = [fixture::row(1, 9, fixture::segment(true, 0.1)), fixture::row(2, 9, epoch)];
        let run = fixture::run("mlp", rows);
        let text = headline(&run);
        assert!(
            text.ends_with(
                "\nafter epoch 2: training loss 0.5000, validation loss -, validation accuracy 75.00%\n\
                 missing because not finite: 1 value of epoch"
            ),
            "{text}"
        );
        let value = ConfigValue { key: "optim.lr".into(), value: 0.2.into() };
        let swept = Run { config: vec![value], swept: vec!["optim.lr".into()], ..run.clone() };
        assert!(headline(&swept).starts_with("mlp: optim.lr = 0.2\n"), "{}", headline(&swept));
        let json = summary_json(&run).unwrap();
        assert_eq!(json["last_epoch"]["kind"], "epoch");
        assert_eq!(
            (&json["last_epoch"]["step"], &json["last_epoch"]["valid_loss"]),
            (&json!(9), &Value::Null)
        );
        assert_eq!(json["barriers"], json!([{ "epoch": 1, "barriers": 1, "tested": null, "updates": 1 }]));
    }
}
