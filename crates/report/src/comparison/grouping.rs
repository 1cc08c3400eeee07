//! Groups runs into settings and determines what distinguishes the settings.

use std::collections::BTreeSet;

use walk_record::Run;

use super::setting::{Comparison, Setting, SettingKey};
use crate::error::ReportError;
use crate::plural::counted;
use crate::training::{snake, value_text};

/// Keys and sections that do not affect measurements.
const WITHOUT_EFFECT: &[&str] = &["name", "claims", "reproduce_seeds", "record", "checkpoint"];

/// Maximum number of keys shown as columns; settings that differ in more keys are named after their runs.
const MAX_KEYS: usize = 3;

impl<'a> Comparison<'a> {
    /// Joins the runs that differ only in their seeds.
    pub fn new(runs: &'a [Run]) -> Self {
        let keys: Vec<String> = differing(runs).into_iter().filter(|key| key != "seed").collect();
        let grouped = grouped(runs, &keys);
        let has_each_seed_once = |setting: &Setting<'_>| {
            let seeds: BTreeSet<String> = setting.runs.iter().map(|run| text(run, "seed")).collect();
            seeds.len() == setting.runs.len()
        };
        if !grouped.iter().all(has_each_seed_once) {
            return Self::apart(runs);
        }
        if keys.len() > MAX_KEYS {
            let named = grouped.into_iter().map(|setting| Setting { label: of_seeds(&setting), ..setting });
            return Self::of(named.collect());
        }
        Self::keyed(runs, grouped, &keys)
    }

    /// Joins the runs that have the same values of `keys`, each a key of the experiment or its last part.
    ///
    /// # Errors
    /// [`ReportError::By`] if the runs do not differ in one of the keys.
    pub fn by(runs: &'a [Run], keys: &[String]) -> Result<Self, ReportError> {
        let differing = differing(runs);
        let full = keys.iter().map(|key| {
            let is_meant = |known: &&String| *known == key || last_part(known) == key;
            differing.iter().find(is_meant).cloned().ok_or_else(|| ReportError::By {
                key: key.clone(),
                known: if differing.is_empty() { "nothing".into() } else { differing.join(", ") },
            })
        });
        let keys: Vec<String> = full.collect::<Result<_, _>>()?;
        Ok(Self::keyed(runs, grouped(runs, &keys), &keys))
    }

    /// Each run is a setting.
    pub fn apart(runs: &'a [Run]) -> Self {
        Self::of(runs.iter().map(|run| Setting::new(&run.label, std::slice::from_ref(run))).collect())
    }

    /// Given settings, distinguished by their labels.
    pub fn of(mut settings: Vec<Setting<'a>>) -> Self {
        let runs = settings.iter().flat_map(|setting| setting.runs.iter().copied()).collect();
        let keys = match settings.len() {
            0 | 1 => vec![],
            _ => {
                let is_joined = settings.iter().any(|setting| setting.runs.len() > 1);
                let name = if is_joined { "setting" } else { "run" };
                vec![SettingKey { snake: name.into(), title: name.into() }]
            }
        };
        for setting in &mut settings {
            setting.values = keys.iter().map(|_| setting.label.clone()).collect();
        }
        Self { runs, keys, settings }
    }

    /// Settings distinguished by their values of `keys`, with labels that name key and value.
    fn keyed(runs: &'a [Run], mut settings: Vec<Setting<'a>>, keys: &[String]) -> Self {
        let keys = titled(keys);
        for setting in &mut settings {
            let pairs = keys.iter().zip(&setting.values).map(|(key, value)| key.with(value));
            setting.label = match pairs.collect::<Vec<String>>().join(", ") {
                // the only setting is named after its runs
                pairs if pairs.is_empty() => setting.runs[0].info.plugin.name.clone(),
                pairs => pairs,
            };
        }
        Self { runs: runs.iter().collect(), keys, settings }
    }
}

/// The keys in which the runs differ, among those that affect measurements.
fn differing(runs: &[Run]) -> Vec<String> {
    let swept = if runs.len() > 1 { runs[0].swept.as_slice() } else { &[] };
    let has_effect = |key: &&String| {
        let section = key.split('.').next().unwrap_or(key);
        !WITHOUT_EFFECT.contains(&section)
    };
    swept.iter().filter(has_effect).cloned().collect()
}

/// The runs grouped by their values of the keys: sorted by value if all are numbers, otherwise in the order of the runs.
fn grouped<'a>(runs: &'a [Run], keys: &[String]) -> Vec<Setting<'a>> {
    let mut settings: Vec<Setting<'a>> = vec![];
    for run in runs {
        let values: Vec<String> = keys.iter().map(|key| text(run, key)).collect();
        match settings.iter_mut().find(|setting| setting.values == values) {
            Some(setting) => setting.runs.push(run),
            None => settings.push(Setting { values, label: String::new(), runs: vec![run] }),
        }
    }
    let numbers = |setting: &Setting<'_>| -> Option<Vec<f64>> {
        setting.values.iter().map(|value| value.parse().ok()).collect()
    };
    if settings.iter().all(|setting| numbers(setting).is_some()) {
        settings.sort_by(|one, other| {
            numbers(one).partial_cmp(&numbers(other)).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    settings
}

/// Each key shortened to its last part, unless that is ambiguous.
fn titled(keys: &[String]) -> Vec<SettingKey> {
    let titled = |dotted: &String| {
        let last = last_part(dotted);
        let is_shared = keys.iter().any(|other| other != dotted && last_part(other) == last);
        let title = if is_shared { dotted.clone() } else { last.replace('_', " ") };
        let title = if title == "batch size" { "B".into() } else { title };
        SettingKey { snake: snake(dotted), title }
    };
    keys.iter().map(titled).collect()
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// The run's value under a key, "-" if it has none.
pub(super) fn text(run: &Run, key: &str) -> String {
    value_text(run, key).unwrap_or_else(|| "-".into())
}

fn of_seeds(setting: &Setting<'_>) -> String {
    match setting.runs.as_slice() {
        [run] => run.label.clone(),
        runs => format!("{} and {} more", runs[0].label, counted(runs.len() - 1, "seed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::swept;

    #[test]
    fn seeds_are_joined_and_settings_are_told_apart_by_what_differs() {
        let runs = swept(&[
            &[("optim.lr", "0.2"), ("seed", "1"), ("name", "a")],
            &[("optim.lr", "0.05"), ("seed", "1"), ("name", "b")],
            &[("optim.lr", "0.2"), ("seed", "2"), ("name", "c")],
            &[("optim.lr", "0.05"), ("seed", "2"), ("name", "d")],
        ]);
        let found = Comparison::new(&runs);
        let labels: Vec<(&str, usize)> =
            found.settings.iter().map(|setting| (setting.label.as_str(), setting.runs.len())).collect();
        assert_eq!(labels, [("lr = 0.05", 2), ("lr = 0.2", 2)]);
        assert_eq!((found.keys[0].title.as_str(), found.keys[0].snake.as_str()), ("lr", "optim_lr"));
        let by_seed = Comparison::by(&runs, &["seed".into()]).unwrap();
        assert_eq!(by_seed.settings[1].label, "seed = 2");
        let error = Comparison::by(&runs, &["momentum".into()]).unwrap_err().to_string();
        assert_eq!(
            error,
            "--by momentum: the runs do not differ in `momentum`; they differ in optim.lr, seed"
        );
    }

    #[test]
    fn a_run_that_is_there_twice_is_not_joined_with_itself() {
        let runs = swept(&[&[("seed", "1")], &[("seed", "1")]]);
        let found = Comparison::new(&runs);
        assert_eq!(found.settings.len(), 2);
        assert!(!found.is_joined());
        let seeds = swept(&[&[("seed", "1")], &[("seed", "2")]]);
        let found = Comparison::new(&seeds);
        assert_eq!((found.settings.len(), found.keys.len(), found.settings[0].runs.len()), (1, 0, 2));
    }
}
