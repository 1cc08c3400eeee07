//! Counts the updates of a run that a schedule selects without enumerating them, since a run may have billions.

use walk_core::Step;

use super::conditions::Conditions;
use crate::Position;

/// Maximum number of sets of conditions for which overlaps are counted exactly.
const MAX_SETS: usize = 12;

/// The updates of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Number of epochs.
    pub epochs: u32,
    /// Number of updates per epoch.
    pub updates: u32,
}

impl Span {
    /// Total number of updates.
    pub fn total(self) -> u64 {
        u64::from(self.epochs) * u64::from(self.updates)
    }
}

/// The number of updates among the first `done` of a run that meet at least one set of conditions.
pub(super) fn union_of_first(sets: &[Conditions], done: Step, updates: u32) -> u64 {
    let whole = u32::try_from(done.0 / u64::from(updates.max(1))).unwrap_or(u32::MAX);
    let rest = (done.0 % u64::from(updates.max(1))) as u32;
    let begun = Conditions {
        epochs: Some(vec![whole.saturating_add(1)]),
        iterations: Some([1, rest]),
        ..Conditions::default()
    };
    let in_begun: Vec<Conditions> = sets.iter().filter_map(|set| set.and(&begun)).collect();
    let span = Span { epochs: whole.saturating_add(1), updates };
    union(sets, Span { epochs: whole, updates }) + union(&in_begun, span)
}

/// The number of updates that meet at least one set of conditions, by inclusion and exclusion.
pub(super) fn union(sets: &[Conditions], span: Span) -> u64 {
    let is_needed = |&index: &usize| {
        let covered_by = |other: usize| {
            sets[other].covers(&sets[index]) && (other < index || !sets[index].covers(&sets[other]))
        };
        !(0..sets.len()).any(|other| other != index && covered_by(other))
    };
    let sets: Vec<&Conditions> = (0..sets.len()).filter(is_needed).map(|index| &sets[index]).collect();
    if sets.len() > MAX_SETS {
        let sum = sets.iter().map(|set| set.count(span)).fold(0, u64::saturating_add);
        return sum.min(span.total());
    }
    let all = sets.iter().enumerate().map(|(index, set)| including(set, &sets[index + 1..], span));
    all.sum::<i128>() as u64
}

/// The updates that meet `set` and the union of the sets after it, counted with alternating signs.
fn including(set: &Conditions, rest: &[&Conditions], span: Span) -> i128 {
    let own = i128::from(set.count(span));
    if own == 0 {
        return 0;
    }
    let common = rest.iter().enumerate().filter_map(|(index, other)| Some((index, set.and(other)?)));
    own - common.map(|(index, both)| including(&both, &rest[index + 1..], span)).sum::<i128>()
}

impl Conditions {
    /// Both conditions at once; `None` if no update can meet them.
    fn and(&self, other: &Self) -> Option<Self> {
        let epochs = match (&self.epochs, &other.epochs) {
            (Some(ours), Some(theirs)) => Some(ours.iter().copied().filter(|e| theirs.contains(e)).collect()),
            (ours, theirs) => ours.clone().or_else(|| theirs.clone()),
        };
        let iterations = match (self.iterations, other.iterations) {
            (Some(ours), Some(theirs)) => Some([ours[0].max(theirs[0]), ours[1].min(theirs[1])]),
            (ours, theirs) => ours.or(theirs),
        };
        let every = match (self.every, other.every) {
            (Some(ours), Some(theirs)) => Some((ours / gcd(ours, theirs)).checked_mul(theirs)?),
            (ours, theirs) => ours.or(theirs),
        };
        let (log, at_end_of_epochs) =
            (self.log || other.log, self.at_end_of_epochs || other.at_end_of_epochs);
        Some(Self { epochs, iterations, every, log, at_end_of_epochs })
    }

    /// The number of updates of a run that meet them.
    pub(super) fn count(&self, span: Span) -> u64 {
        let updates = span.updates;
        let [first, last] = self.iterations.unwrap_or([1, updates]);
        let first = if self.at_end_of_epochs { first.max(updates) } else { first.max(1) };
        let last = last.min(updates);
        if first > last || span.epochs == 0 {
            return 0;
        }
        if self.log {
            return self.count_log(span);
        }
        let (first, last, updates) = (u64::from(first), u64::from(last), u64::from(updates));
        let epochs = self.epochs.clone().map(|mut epochs| {
            epochs.retain(|epoch| (1..=span.epochs).contains(epoch));
            epochs.sort_unstable();
            epochs.dedup();
            epochs
        });
        match (epochs, self.every) {
            (Some(epochs), None) => epochs.len() as u64 * (last - first + 1),
            (None, None) => u64::from(span.epochs) * (last - first + 1),
            (Some(epochs), Some(every)) => {
                let up_to = |epoch: u32, iteration: u64| (u64::from(epoch - 1) * updates + iteration) / every;
                epochs.iter().map(|&epoch| up_to(epoch, last) - up_to(epoch, first - 1)).sum()
            }
            (None, Some(every)) => {
                // the first quotient exceeds the second by one if update n * every is within `first..=last`
                let n = span.total() / every;
                let quotients = |offset: u64| sum_of_quotients(n, every, offset, updates);
                (quotients(every + updates - first) - quotients(every + updates - last - 1)) as u64
            }
        }
    }

    /// The same for updates 1, 2, ..., 10, 20, ..., of which there are few.
    fn count_log(&self, span: Span) -> u64 {
        let powers = (0..20).map(|exponent| 10u64.pow(exponent)).take_while(|&power| power <= span.total());
        let steps = powers.flat_map(|power| (1..10).filter_map(move |digit| power.checked_mul(digit)));
        let updates = u64::from(span.updates);
        let at = |step: u64| Position {
            epoch: ((step - 1) / updates + 1) as u32,
            iteration: ((step - 1) % updates + 1) as u32,
            updates: span.updates,
            step: Step(step),
        };
        steps.filter(|&step| step <= span.total() && self.includes(at(step))).count() as u64
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// Σ ⌊(factor i + offset) / divisor⌋ over i = 0, ..., n - 1, by Euclid's algorithm.
fn sum_of_quotients(n: u64, factor: u64, offset: u64, divisor: u64) -> u128 {
    let [mut n, mut factor, mut offset, mut divisor] = [n, factor, offset, divisor].map(u128::from);
    let mut sum = 0;
    while n > 0 {
        sum += n * (n - 1) / 2 * (factor / divisor) + n * (offset / divisor);
        (factor, offset) = (factor % divisor, offset % divisor);
        let end = factor * n + offset;
        if end < divisor {
            break;
        }
        // count the lattice points column by column instead of row by row
        (n, offset) = (end / divisor, end % divisor);
        std::mem::swap(&mut factor, &mut divisor);
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn conditions() -> impl Strategy<Value = Conditions> {
        let epochs = prop::option::of(prop::collection::vec(1..12u32, 0..4));
        let iterations = prop::option::of([1..9u32, 1..9u32]);
        (epochs, iterations, prop::option::of(1..30u64), prop::bool::weighted(0.2), prop::bool::weighted(0.3))
            .prop_map(|(epochs, iterations, every, log, at_end_of_epochs)| Conditions {
                epochs,
                iterations,
                every,
                log,
                at_end_of_epochs,
            })
    }

    fn walk(sets: &[Conditions], span: Span, done: u64) -> u64 {
        let all = (1..=span.epochs).flat_map(|epoch| {
            (1..=span.updates).map(move |iteration| {
                let step = Step(u64::from(epoch - 1) * u64::from(span.updates) + u64::from(iteration));
                Position { epoch, iteration, updates: span.updates, step }
            })
        });
        all.filter(|at| at.step.0 <= done && sets.iter().any(|set| set.includes(*at))).count() as u64
    }

    proptest! {
        #[test]
        fn counting_equals_walking(
            sets in prop::collection::vec(conditions(), 1..5),
            epochs in 1..11u32,
            updates in 1..9u32,
            done in 0..88u64,
        ) {
            let span = Span { epochs, updates };
            prop_assert_eq!(union(&sets, span), walk(&sets, span, u64::MAX));
            let done = done.min(span.total());
            prop_assert_eq!(union_of_first(&sets, Step(done), updates), walk(&sets, span, done));
        }
    }

    #[test]
    fn billions_of_epochs_are_counted_at_once() {
        let span = Span { epochs: u32::MAX, updates: 28 };
        let count = |conditions: Conditions| conditions.count(span);
        let epochs = u64::from(u32::MAX);
        assert_eq!(count(Conditions::default()), 28 * epochs);
        assert_eq!(count(Conditions { at_end_of_epochs: true, ..Conditions::default() }), epochs);
        // every 14th update is the 14th or the 28th of its epoch
        let last = Conditions { every: Some(14), iterations: Some([15, 28]), ..Conditions::default() };
        assert_eq!(count(last), epochs);
        let log = count(Conditions { log: true, ..Conditions::default() });
        assert_eq!(log, 9 * 11 + 1); // up to 1.2e11
    }
}
