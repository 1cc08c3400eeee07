//! When a probe is due.

mod conditions;
mod count;

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use walk_core::Step;

pub use self::conditions::Conditions;
pub use self::count::Span;
use self::count::{union, union_of_first};
use crate::{Position, TrainError};

/// The updates at which a probe measures: those that meet at least one of its sets of conditions. A single set is written as a
/// table, several sets as a list of tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<Conditions>);

impl Schedule {
    /// Whether `at` is one of the updates.
    pub fn includes(&self, at: Position) -> bool {
        self.0.iter().any(|conditions| conditions.includes(at))
    }

    /// The union of the updates of both.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let further = other.0.iter().filter(|conditions| !self.0.contains(conditions));
        Self(self.0.iter().chain(further).cloned().collect())
    }

    /// Whether it certainly includes every update of `other`: each set of its conditions is covered by one of ours.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|theirs| self.0.iter().any(|ours| ours.covers(theirs)))
    }

    /// The same updates in a run that may continue beyond `epochs`: conditions that name no epochs get those up to there.
    #[must_use]
    pub fn within(&self, epochs: u32) -> Self {
        let within = |conditions: &Conditions| {
            let epochs = conditions.epochs.clone().unwrap_or_else(|| (1..=epochs).collect());
            Conditions { epochs: Some(epochs), ..conditions.clone() }
        };
        Self(self.0.iter().map(within).collect())
    }

    /// Checks that every epoch and iteration named will occur, and that an update meets each set of conditions. `key` is the
    /// schedule's place in the experiment.
    ///
    /// # Errors
    /// [`TrainError::Value`] if not.
    pub fn check(&self, key: &str, epochs: u32, updates_per_epoch: usize) -> Result<(), TrainError> {
        if self.0.is_empty() {
            return Err(TrainError::value(key, "[]", "at least one table of conditions"));
        }
        let span = Span { epochs, updates: u32::try_from(updates_per_epoch).unwrap_or(u32::MAX) };
        self.0.iter().try_for_each(|conditions| {
            conditions.check(key, epochs, updates_per_epoch)?;
            if conditions.count(span) > 0 {
                return Ok(());
            }
            let expected = format!("conditions that are met by one of the run's {} updates", span.total());
            Err(TrainError::value(key, conditions, expected))
        })
    }

    /// The number of its updates in a run; with more than 12 sets of conditions, an upper bound.
    pub fn count(&self, span: Span) -> u64 {
        union(&self.0, span)
    }

    /// The number of its updates among the first `done` of a run.
    pub fn count_first(&self, done: Step, updates: u32) -> u64 {
        union_of_first(&self.0, done, updates)
    }
}

/// Every update.
impl Default for Schedule {
    fn default() -> Self {
        Conditions::default().into()
    }
}

impl From<Conditions> for Schedule {
    fn from(conditions: Conditions) -> Self {
        Self(vec![conditions])
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl JsonSchema for Schedule {
    fn schema_name() -> Cow<'static, str> {
        "Schedule".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "schedule" })
    }
}

// implemented by hand: an untagged enum would lose the positions of errors
impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Schedule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of conditions, or a list of such tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schedule, A::Error> {
                Conditions::deserialize(MapAccessDeserializer::new(map)).map(Schedule::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Schedule, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Schedule)
            }
        }
        deserializer.deserialize_any(OneOrSeveral)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u32, iteration: u32) -> Position {
        Position { epoch, iteration, updates: 10, step: Step(u64::from(10 * (epoch - 1) + iteration)) }
    }

    #[test]
    fn epochs_and_iterations_both_count() {
        assert!(Schedule::default().includes(at(3, 7)));
        let schedule: Schedule =
            Conditions { epochs: Some(vec![1, 10]), iterations: Some([2, 4]), ..Conditions::default() }
                .into();
        assert!(schedule.includes(at(1, 2)) && schedule.includes(at(10, 4)));
        assert!(!schedule.includes(at(1, 1)) && !schedule.includes(at(1, 5)) && !schedule.includes(at(2, 2)));
    }

    #[test]
    fn updates_of_the_run_and_ends_of_epochs_can_be_named() {
        let due = |conditions: Conditions| -> Vec<u64> {
            let schedule = Schedule::from(conditions);
            let all = (1..=12).flat_map(|epoch| (1..=10).map(move |iteration| at(epoch, iteration)));
            all.filter(|&at| schedule.includes(at)).map(|at| at.step.0).collect()
        };
        assert_eq!(due(Conditions { every: Some(50), ..Conditions::default() }), [50, 100]);
        let log = due(Conditions { log: true, ..Conditions::default() });
        assert_eq!(log, [(1..10).collect::<Vec<u64>>(), (1..=10).map(|n| 10 * n).collect()].concat());
        let ends = Conditions { at_end_of_epochs: true, epochs: Some(vec![2, 5]), ..Conditions::default() };
        assert_eq!(due(ends), [20, 50]);
        assert!(Conditions { every: Some(0), ..Conditions::default() }.check("x", 1, 1).is_err());
    }

    #[test]
    fn one_table_of_conditions_is_enough() {
        let read = |text: &str| serde_json::from_str::<Schedule>(text).map_err(|error| error.to_string());
        let text = r#"[{"epochs":[1],"log":false,"at_end_of_epochs":true},{"every":7,"log":false,"at_end_of_epochs":false}]"#;
        let several = read(text).unwrap();
        assert_eq!(serde_json::to_string(&several).unwrap(), text);
        assert!(several.includes(at(1, 10)) && several.includes(at(3, 1)) && !several.includes(at(2, 10)));
        let one = read(r#"{"epochs":[1]}"#).unwrap();
        assert_eq!(read(&serde_json::to_string(&one).unwrap()).unwrap(), one);
        assert!(read(r#"[{"epoch":[1]}]"#).unwrap_err().contains("unknown field `epoch`"));
        assert!(read("3").unwrap_err().contains("a table of conditions, or a list"));
        assert!(read("[]").unwrap().check("x", 1, 1).is_err());
    }

    #[test]
    fn schedules_are_joined_and_covered() {
        let only =
            |epoch: u32| Schedule::from(Conditions { epochs: Some(vec![epoch]), ..Conditions::default() });
        let both = only(2).join(&only(5));
        assert!(both.includes(at(2, 1)) && both.includes(at(5, 9)) && !both.includes(at(3, 1)));
        assert_eq!(both.join(&only(5)), both);
        assert!(both.covers(&only(2)) && both.covers(&both) && !only(2).covers(&both));
        let part = Conditions { every: Some(6), iterations: Some([2, 3]), ..Conditions::default() };
        let wider = Conditions { every: Some(3), iterations: Some([1, 3]), ..Conditions::default() };
        assert!(wider.covers(&part) && !part.covers(&wider) && Conditions::default().covers(&part));
        let first_two = Schedule::default().within(2);
        assert!(first_two.includes(at(2, 10)) && !first_two.includes(at(3, 1)));
        assert_eq!(only(5).within(2), only(5));
    }

    #[test]
    fn what_never_comes_is_refused() {
        let check = |epochs, iterations| {
            Schedule::from(Conditions { epochs, iterations, ..Conditions::default() }).check(
                "probe.x.when",
                10,
                450,
            )
        };
        check(Some(vec![1, 10]), Some([1, 450])).unwrap();
        let text = check(Some(vec![1, 25]), None).unwrap_err().to_string();
        assert_eq!(text, "`probe.x.when.epochs` = [1, 25], expected epochs from 1 to 10 (`epochs`)");
        assert!(check(Some(vec![]), None).is_err());
        assert!(check(None, Some([1, 451])).is_err());
        assert!(check(None, Some([5, 4])).is_err());
        assert!(check(None, Some([0, 4])).is_err());
        let never = Schedule::from(Conditions { every: Some(4501), ..Conditions::default() });
        let never = never.check("probe.x.when", 10, 450);
        assert_eq!(
            never.unwrap_err().to_string(),
            "`probe.x.when` = { every = 4501 }, expected conditions that are met by one of the run's 4500 updates"
        );
        let only_ends =
            Conditions { at_end_of_epochs: true, iterations: Some([1, 9]), ..Conditions::default() };
        let only_ends = Schedule::from(only_ends);
        assert!(only_ends.check("x", 10, 450).is_err() && only_ends.check("x", 10, 9).is_ok());
    }
}
