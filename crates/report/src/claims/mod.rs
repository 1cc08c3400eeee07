//! The paper's claims, each tested on what was measured, with a statistic, its uncertainty, and a verdict that may be "does not
//! hold".

mod alignment;
mod claim;
mod cosine;
mod covariance;
mod distance;
mod interpolation;
mod trend;

pub use self::claim::{Claim, ClaimName, Exhibit, Verdict};
use crate::table::Table;

/// The claims that the exhibits name.
pub fn claims(exhibits: &[Exhibit<'_>]) -> Vec<Claim> {
    let mut claims = vec![];
    for exhibit in exhibits {
        claims.extend(exhibit.claims.iter().flat_map(|&name| test(name, exhibit)));
    }
    claims
}

/// Claims as a table; `None` if there are none.
pub fn claims_table(claims: &[Claim]) -> Option<Table> {
    let rows = claims.iter().map(|claim| {
        let Claim { claim, exhibit, measured, statistic, verdict } = claim;
        vec![claim.clone(), exhibit.clone(), measured.clone(), statistic.clone(), verdict.text().into()]
    });
    let table = Table::new("claims", ["claim", "where", "measured", "statistic", "verdict"], rows);
    (!claims.is_empty()).then_some(table)
}

fn test(name: ClaimName, exhibit: &Exhibit<'_>) -> Vec<Claim> {
    match name {
        ClaimName::RareBarriers => interpolation::rare_barriers(exhibit),
        ClaimName::FloorMoves => interpolation::floor_moves(exhibit),
        ClaimName::AlignmentRises => alignment::alignment_rises(exhibit),
        ClaimName::GradientVariance => covariance::gradient_variance(exhibit),
        ClaimName::OpposingGradients => vec![cosine::opposing_gradients(exhibit)],
        ClaimName::SlowerGrowth => vec![distance::slower_growth(exhibit)],
    }
}

#[cfg(test)]
mod tests {
    use walk_record::rows::{Cosine, Distance};
    use walk_record::{ConfigValue, Measured, Row};

    use super::*;
    use crate::fixture;

    fn rows(cosine: f64, slope: f64) -> Vec<Row> {
        let of_step = |step: u64| {
            // not a trend
            let wobble = if step.is_multiple_of(3) { 0.02 } else { -0.01 };
            let cosine = Cosine { cosine: (cosine + wobble).into(), cosine_with_decay: Measured::MISSING };
            let distance = Distance { distance: (slope * (step as f64).ln() + wobble).into() };
            [fixture::row(1, step, cosine), fixture::row(1, step, distance)]
        };
        (1..=100).flat_map(of_step).collect()
    }

    #[test]
    fn falling_cosines_and_slower_growth_confirm_the_paper() {
        let (small, large) = (rows(0.1, 2.0), rows(-0.5, 1.0));
        let verdicts = |small: &[Row], large: &[Row]| {
            let run = |batch_size: i64, rows: &[Row]| {
                let mut run = fixture::run("run", rows.to_vec());
                run.config = vec![ConfigValue { key: "optim.batch_size".into(), value: batch_size.into() }];
                run
            };
            let runs = [run(500, small), run(5000, large)];
            let names = [ClaimName::OpposingGradients, ClaimName::SlowerGrowth];
            let found = claims(&[Exhibit { name: "fig07a", claims: &names, runs: &runs }]);
            [found[0].verdict, found[1].verdict]
        };
        assert_eq!(verdicts(&small, &large), [Verdict::Holds; 2]);
        assert_eq!(verdicts(&large, &small), [Verdict::DoesNotHold; 2]);
        assert_eq!(verdicts(&small, &small), [Verdict::Undecided; 2]);
        assert_eq!(verdicts(&small, &[]), [Verdict::NotMeasured; 2]);
    }
}
