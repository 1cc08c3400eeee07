//! Claims of the paper and of other publications, each tested on the measurements, with a statistic, its uncertainty, and a verdict, which may be "does
//! not hold".

mod alignment;
mod claim;
mod conclusion;
mod connectivity;
mod cosine;
mod covariance;
mod critical_lr;
mod decay;
mod distance;
mod interpolation;
#[cfg(test)]
mod later_tests;
mod line;
mod run_number;
mod share;
mod spectrum;
mod train;
mod trend;

pub use self::claim::{Claim, ClaimName, Exhibit, Verdict};
pub use self::conclusion::conclusion;
use crate::table::{Table, name, remark, words};

/// The claims of the exhibits.
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
        let texts = [claim, exhibit, measured, statistic].map(|text| text.as_str().into());
        texts.into_iter().chain([verdict.text().into()]).collect()
    });
    let columns = [
        name("claim", "claim"),
        name("exhibit", "where"),
        remark("measured", "measured"),
        remark("statistic", "statistic"),
        words("verdict", "verdict"),
    ];
    let table = Table::new("claims", "Claims", columns, rows);
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
        ClaimName::SharpnessAtThreshold => spectrum::sharpness_at_threshold(exhibit),
        ClaimName::LossRisesAtTimes => train::loss_rises_at_times(exhibit),
        ClaimName::BatchSharpnessAtThreshold => alignment::batch_sharpness_at_threshold(exhibit),
        ClaimName::SharpnessBelowThreshold => spectrum::sharpness_below_threshold(exhibit),
        ClaimName::FlatterAtSmallBatches => vec![spectrum::flatter_at_small_batches(exhibit)],
        ClaimName::CriticalSharpnessFollows => critical_lr::critical_sharpness_follows(exhibit),
        ClaimName::GradientInTopSpace => spectrum::gradient_in_top_space(exhibit),
        ClaimName::LogarithmicGrowth => distance::logarithmic_growth(exhibit),
        ClaimName::BarrierFallsWithLaterSplit => connectivity::barrier_falls_with_later_split(exhibit),
        ClaimName::LateTwinsConnect => connectivity::late_twins_connect(exhibit),
        ClaimName::MonotoneLine => line::monotone_line(exhibit),
        ClaimName::DecayFallsToFloor => decay::decay_falls_to_floor(exhibit),
        ClaimName::NoiseScaleRises => covariance::noise_scale_rises(exhibit),
    }
}

#[cfg(test)]
mod tests {
    use walk_record::rows::Cosine;
    use walk_record::{ConfigValue, Measured, Run};

    use super::*;
    use crate::comparison::Setting;
    use crate::fixture;

    /// A walk whose cosine and slope of the distance are those of the setting plus what the seed adds to every setting.
    fn walk(batch_size: i64, seed: i64, cosine: f64, slope: f64) -> Run {
        let of_step = |step: u64| {
            // not a trend
            let wobble = if step.is_multiple_of(3) { 0.02 } else { -0.01 };
            let shift = 0.1 * seed as f64 + 0.001 * (seed * batch_size % 7) as f64;
            // the first half differs
            let cosine = if step <= 50 { 0.9 } else { cosine };
            let cosine =
                Cosine { cosine: (cosine + shift + wobble).into(), cosine_with_decay: Measured::MISSING };
            let distance = fixture::distance((slope + shift) * (step as f64).ln() + wobble);
            [fixture::row(1, step, cosine), fixture::row(1, step, distance)]
        };
        let value = |key: &str, value: i64| ConfigValue { key: key.into(), value: value.into() };
        Run {
            config: vec![value("optim.batch_size", batch_size), value("seed", seed)],
            ..fixture::run("run", (1..=100).flat_map(of_step))
        }
    }

    fn walk_claims(runs: &[Vec<Run>]) -> Vec<Claim> {
        let names = [ClaimName::OpposingGradients, ClaimName::SlowerGrowth];
        let settings = runs.iter().map(|runs| Setting::new("B", runs)).collect();
        claims(&[Exhibit { name: "fig07a", claims: &names, settings }])
    }

    fn verdicts(runs: &[Vec<Run>]) -> Vec<Verdict> {
        walk_claims(runs).iter().map(|claim| claim.verdict).collect()
    }

    #[test]
    fn walks_are_compared_by_seed_and_late() {
        let seeds = |batch_size: i64, cosine: f64, slope: f64| -> Vec<Run> {
            (1..=3).map(|seed| walk(batch_size, seed, cosine, slope)).collect()
        };
        let (small, large) = (seeds(500, 0.1, 2.0), seeds(5000, -0.5, 1.0));
        assert_eq!(verdicts(&[small.clone(), large.clone()]), [Verdict::Holds; 2]);
        let reversed = [seeds(500, -0.5, 1.0), seeds(5000, 0.1, 2.0)];
        assert_eq!(verdicts(&reversed), [Verdict::DoesNotHold; 2]);
        assert_eq!(verdicts(&[seeds(500, 0.1, 2.0), seeds(5000, 0.1, 2.0)]), [Verdict::Undecided; 2]);
        assert_eq!(verdicts(std::slice::from_ref(&small)), [Verdict::NotMeasured; 2]);
        let found = walk_claims(&[small.clone(), large.clone()]);
        assert!(found[0].measured.ends_with(" in updates 51 to 100"), "{:?}", found[0]);
        assert!(found[0].statistic.starts_with("3 seeds: t-test paired by seed"), "{:?}", found[0]);
        assert!(found.iter().all(|claim| !claim.claim.contains("in this run")), "{found:?}");
        // a seed that one batch size lacks is left out; with one seed, no general claim is made
        let one = [small, large[..1].to_vec()];
        assert_eq!(verdicts(&one), [Verdict::Holds, Verdict::Undecided]);
        assert!(walk_claims(&one).iter().all(|claim| claim.claim.ends_with(", in this run")));
    }

    #[test]
    fn alignment_is_compared_by_seed() {
        let run = |seed: f64, rise: f64| {
            let row = |batch_size: usize, mean: f64| {
                let standard_error = 0.01.into();
                fixture::row(5, 9, fixture::alignment(batch_size, mean, standard_error))
            };
            fixture::run("run", [row(50, 2.0 + seed), row(200, 2.0 + rise + 1.01 * seed)])
        };
        let verdict = |runs: &[Run]| {
            let settings = vec![Setting::new("a", runs)];
            let names = [ClaimName::AlignmentRises];
            claims(&[Exhibit { name: "fig05", claims: &names, settings }]).remove(0)
        };
        let three = |rise: f64| [run(0.0, rise), run(3.0, rise), run(-1.0, rise)];
        assert_eq!(verdict(&three(0.5)).verdict, Verdict::Holds);
        assert_eq!(verdict(&three(-0.5)).verdict, Verdict::DoesNotHold);
        assert_eq!(verdict(&three(0.0)).verdict, Verdict::Undecided);
        // with one run, the batches are the units
        let one = verdict(&[run(0.0, 0.5)]);
        assert_eq!(one.verdict, Verdict::Holds);
        assert!(one.claim.starts_with("alignment rises with the batch size, in this run: "), "{one:?}");
    }
}
