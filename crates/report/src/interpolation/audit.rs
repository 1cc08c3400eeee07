//! How much adaptive mode saved, and what its audits show about its verdicts.

use walk_record::Run;
use walk_record::rows::{Ended, Interpolation, Mode};

use crate::statistics::proportion_bounds;
use crate::table::{Table, detail, main, percent, share, times};

/// The segments of a run measured in adaptive mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Adaptive {
    segments: usize,
    /// Decided on part of the samples.
    early: usize,
    /// Of these, checked on all samples: those selected at random, and the first of each epoch.
    audits: Agreement,
    /// Of these, selected at random.
    random: Agreement,
    /// Samples evaluated for verdicts.
    evaluations: usize,
    /// Samples evaluated for audits.
    audit_evaluations: usize,
    /// Samples that exact mode would have evaluated if every segment started where the one before ended.
    exact: usize,
}

/// Verdicts that were checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Agreement {
    checked: usize,
    /// With the same verdict in the audit.
    agreed: usize,
}

impl Agreement {
    fn add(&mut self, agreed: bool) {
        self.checked += 1;
        self.agreed += usize::from(agreed);
    }
}

impl Adaptive {
    /// For a run with `samples` training samples; `None` if it has no such segments.
    fn new(run: &Run) -> Option<Self> {
        let mut all = Self::default();
        let samples = run.info.data.train;
        run.rows::<Interpolation>()
            .filter(|row| row.mode == Mode::Adaptive)
            .for_each(|row| all.add(&row, samples));
        (all.segments > 0).then_some(all)
    }

    fn add(&mut self, row: &Interpolation, samples: usize) {
        self.segments += 1;
        self.evaluations += row.evaluations;
        self.exact += row.alphas.len().saturating_sub(1) * samples;
        let early = match row.ended {
            Some(Ended::Barrier) => Some(true),
            Some(Ended::NoBarrier) => Some(false),
            Some(Ended::Exact) | None => None,
        };
        self.early += usize::from(early.is_some());
        if let (Some(verdict), Some(audit)) = (early, &row.audit) {
            let agreed = audit.barrier == Some(verdict);
            self.audit_evaluations += audit.evaluations;
            self.audits.add(agreed);
            if audit.random {
                self.random.add(agreed);
            }
        }
    }

    /// Upper 95% confidence bound on the share of wrong verdicts among the early ones, from those selected at random (Clopper and
    /// Pearson, 1934).
    fn wrong_at_most(&self) -> Option<f64> {
        let Agreement { checked, agreed } = self.random;
        let [_, upper] = proportion_bounds((checked - agreed) as f64, checked as f64);
        (checked > 0).then_some(upper)
    }
}

/// For a run with adaptive segments: how many were decided early, how many of these were audited and agreed, also among those
/// selected at random, the bound on the share of wrong verdicts that follows from the latter, the factor by which fewer samples
/// were evaluated than in exact mode, and the additional cost of the audits.
pub(super) fn audit(run: &Run) -> Table {
    let columns = [
        main("decided_early", "decided early"),
        main("agreed", "audited and agreed"),
        detail("random", "selected at random"),
        main("wrong_at_most", "error rate at most (95%)"),
        main("savings", "fewer evaluations"),
        detail("audit_cost", "audit cost"),
    ];
    let row = Adaptive::new(run).map(|found| {
        let Adaptive { segments, early, audits, random, evaluations, audit_evaluations, exact } = found;
        vec![
            share(early, segments),
            share(audits.agreed, audits.checked),
            share(random.agreed, random.checked),
            percent(found.wrong_at_most(), 1),
            times((evaluations > 0 && exact > 0).then(|| exact as f64 / evaluations as f64)),
            percent((evaluations > 0).then(|| audit_evaluations as f64 / evaluations as f64), 1),
        ]
    });
    Table::new("audit", "Adaptive mode: early verdicts and their audit", columns, row)
}

#[cfg(test)]
mod tests {
    use walk_record::rows::Audit;

    use super::*;
    use crate::fixture;

    fn adaptive(ended: Ended, audit: Option<bool>, random: bool) -> Interpolation {
        let audit = audit.map(|barrier| Audit { barrier: Some(barrier), random, evaluations: 30 });
        Interpolation {
            mode: Mode::Adaptive,
            ended: Some(ended),
            evaluations: 10,
            audit,
            ..fixture::segment(false, -0.5)
        }
    }

    #[test]
    fn audits_are_pooled_over_the_run() {
        let segments = [
            adaptive(Ended::NoBarrier, Some(true), false),
            adaptive(Ended::NoBarrier, Some(false), true),
            adaptive(Ended::NoBarrier, Some(true), true),
            adaptive(Ended::Barrier, Some(true), true),
            adaptive(Ended::Exact, None, true),
        ];
        let rows = segments.into_iter().zip(1..).map(|(segment, step)| fixture::row(1, step, segment));
        let mut run = fixture::run("mlp", rows);
        run.info.data.train = 100;
        // one of three wrong: 1 - p with p^3 + 3 p^2 (1 - p) = 5% is 86.5%; 5 segments of 2 new points of 100
        let expected = ["4 / 5", "2 / 4", "2 / 3", "86.5%", "20.0x", "240.0%"];
        assert_eq!(audit(&run).texts(), [expected]);
        let exact = fixture::run("mlp", [fixture::row(1, 1, fixture::segment(false, -0.5))]);
        assert!(audit(&exact).rows.is_empty());
    }
}
