//! Which runs are one setting, and what tells the settings apart.

use std::collections::BTreeSet;

use walk_record::Run;

use super::setting::{Comparison, Setting, SettingKey};
use crate::error::ReportError;
use crate::plural::counted;

/// Keys and sections that change nothing that is measured.
const WITHOUT_EFFECT: &[&str] = &["name", "claims", "reproduce_seeds", "record", "checkpoint"];

/// Keys that are shown as columns, at most; settings that differ in more have the names of their runs.
const MAX_KEYS: usize = 3;

impl<'a> Comparison<'a> {
    /// Joins the runs that differ by their seeds alone.
    pub fn new(runs: &'a [Run]) -> Self {
        by_training(runs)
    }

    /// Joins the runs that agree in `keys`, each a key of the experiment or its last part.
    ///
    /// # Errors
    /// [`ReportError::By`] if the runs do not differ in one of the keys.
    pub fn by(runs: &'a [Run], keys: &[String]) -> Result<Self, ReportError> {
        by_keys(runs, keys)
    }

    /// Joins the runs of each group, under a label.
    pub fn of(groups: Vec<(String, Vec<&'a Run>)>) -> Self {
        of_groups(groups)
    }
}

/// Runs that differ by their seeds alone are one setting.
fn by_training(runs: &[Run]) -> Comparison<'_> {
    let keys: Vec<String> = differing(runs).into_iter().filter(|key| key != "seed").collect();
    let grouped = grouped(runs, &keys);
    let has_each_seed_once = |setting: &Setting<'_>| {
        let seeds: BTreeSet<String> = setting.runs.iter().map(|run| text(run, "seed")).collect();
        seeds.len() == setting.runs.len()
    };
    if grouped.iter().all(has_each_seed_once) && keys.len() <= MAX_KEYS {
        return Comparison {
            runs: runs.iter().collect(),
            keys: titled(&keys),
            settings: labeled(grouped, &keys),
        };
    }
    let groups = if grouped.iter().all(has_each_seed_once) {
        grouped.into_iter().map(|setting| (of_seeds(&setting), setting.runs)).collect()
    } else {
        runs.iter().map(|run| (run.label.clone(), vec![run])).collect()
    };
    of_groups(groups)
}

/// Runs that agree in the keys are one setting.
fn by_keys<'a>(runs: &'a [Run], keys: &[String]) -> Result<Comparison<'a>, ReportError> {
    let differing = differing(runs);
    let full = keys.iter().map(|key| {
        let is_meant = |known: &&String| *known == key || last_part(known) == key;
        differing.iter().find(is_meant).cloned().ok_or_else(|| ReportError::By {
            key: key.clone(),
            known: if differing.is_empty() { "nothing".into() } else { differing.join(", ") },
        })
    });
    let keys: Vec<String> = full.collect::<Result<_, _>>()?;
    let settings = labeled(grouped(runs, &keys), &keys);
    Ok(Comparison { runs: runs.iter().collect(), keys: titled(&keys), settings })
}

/// The runs of each group are one setting.
fn of_groups(groups: Vec<(String, Vec<&Run>)>) -> Comparison<'_> {
    let runs: Vec<&Run> = groups.iter().flat_map(|(_, runs)| runs.iter().copied()).collect();
    let keys = match groups.len() {
        0 | 1 => vec![],
        _ => {
            let is_joined = groups.iter().any(|(_, runs)| runs.len() > 1);
            let name = if is_joined { "setting" } else { "run" };
            vec![SettingKey { snake: name.into(), title: name.into() }]
        }
    };
    let setting = |(label, runs): (String, Vec<_>)| {
        let values = keys.iter().map(|_| label.clone()).collect();
        Setting { values, label, runs }
    };
    let settings = groups.into_iter().map(setting).collect();
    Comparison { runs, keys, settings }
}

/// The keys in which the runs differ, of those that change what is measured.
fn differing(runs: &[Run]) -> Vec<String> {
    let swept = if runs.len() > 1 { runs[0].swept.as_slice() } else { &[] };
    let has_effect = |key: &&String| {
        let section = key.split('.').next().unwrap_or(key);
        !WITHOUT_EFFECT.contains(&section)
    };
    swept.iter().filter(has_effect).cloned().collect()
}

/// The runs by their values of the keys: in the order of the values where all are numbers, otherwise in that of the runs.
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

/// The settings with labels that name key and value, as in `lr = 0.1, B = 10`.
fn labeled<'a>(mut settings: Vec<Setting<'a>>, keys: &[String]) -> Vec<Setting<'a>> {
    let titles = titled(keys);
    for setting in &mut settings {
        let pairs = titles.iter().zip(&setting.values).map(|(key, value)| format!("{} = {value}", key.title));
        setting.label = match pairs.collect::<Vec<String>>().join(", ") {
            // the only one: its runs tell what it is
            pairs if pairs.is_empty() => setting.runs[0].info.plugin.name.clone(),
            pairs => pairs,
        };
    }
    settings
}

/// Each key by its last part, unless another one has the same.
fn titled(keys: &[String]) -> Vec<SettingKey> {
    let titled = |dotted: &String| {
        let last = last_part(dotted);
        let is_shared = keys.iter().any(|other| other != dotted && last_part(other) == last);
        let snake = dotted.replace('.', "_");
        let title = if is_shared { dotted.clone() } else { last.replace('_', " ") };
        let title = if title == "batch size" { "B".into() } else { title };
        SettingKey { snake, title }
    };
    keys.iter().map(titled).collect()
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// The run's value under a key, a string without its quotes.
pub(super) fn text(run: &Run, key: &str) -> String {
    match run.value(key) {
        None => "-".into(),
        Some(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
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
