//! The paper's claims, each held against what was measured: with a statistic, its uncertainty, and a verdict that may be
//! "does not hold".

mod gradients;
mod statistics;
mod surface;
mod walk;

use walk_record::Row;

use crate::Table;

/// A table or figure of the paper and the runs made for it.
#[derive(Clone, Copy, Debug)]
pub struct Exhibit<'a> {
    /// `table1`, `fig01`, ..., `fig07a`.
    pub name: &'a str,
    /// What it is made of; empty if that was not measured.
    pub runs: &'a [ExhibitRun<'a>],
}

/// A run of an exhibit.
#[derive(Clone, Copy, Debug)]
pub struct ExhibitRun<'a> {
    /// What it is called.
    pub label: &'a str,
    /// How it trains: network, data, method, rate, batch.
    pub setting: &'a str,
    /// Samples behind the gradient of an update.
    pub batch_size: usize,
    /// What it recorded for the exhibit.
    pub rows: &'a [Row],
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// What was measured bears it out, at the level of its test.
    Holds,
    /// Neither it nor its contrary was shown.
    Undecided,
    /// What was measured contradicts it, at the level of its test.
    DoesNotHold,
    /// Nothing was measured.
    NotMeasured,
}

impl Verdict {
    /// As the table has it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Undecided => "undecided",
            Self::DoesNotHold => "does not hold",
            Self::NotMeasured => "not measured",
        }
    }
}

/// A claim and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What the paper says.
    pub claim: String,
    /// Where it was looked at.
    pub exhibit: String,
    /// What was measured.
    pub measured: String,
    /// The test and its uncertainty.
    pub statistic: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// Every claim that the exhibits are about.
pub fn claims(exhibits: &[Exhibit<'_>]) -> Vec<Claim> {
    let mut claims = vec![];
    for exhibit in exhibits {
        let made = match exhibit.name {
            "table1" | "fig04" => surface::rarely(exhibit),
            "fig05" | "fig06" => gradients::alignment_and_covariance(exhibit),
            "fig07a" | "fig07b" => walk::larger_batches(exhibit),
            _ => surface::observations(exhibit),
        };
        claims.extend(made);
    }
    claims
}

/// Claims as a table; `None` if there are none.
pub fn claims_table(claims: &[Claim]) -> Option<Table> {
    let rows = claims.iter().map(|claim| {
        let Claim { claim, exhibit, measured, statistic, verdict } = claim;
        vec![claim.clone(), exhibit.clone(), measured.clone(), statistic.clone(), verdict.text().into()]
    });
    Table::new("claims", ["claim", "where", "measured", "statistic", "verdict"], rows)
}

impl Claim {
    fn not_measured(claim: impl Into<String>, exhibit: &Exhibit<'_>) -> Self {
        let (claim, exhibit) = (claim.into(), exhibit.name.to_owned());
        let (measured, statistic) = ("-".into(), "-".into());
        Self { claim, exhibit, measured, statistic, verdict: Verdict::NotMeasured }
    }
}
