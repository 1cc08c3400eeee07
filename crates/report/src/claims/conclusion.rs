//! A sentence that sums up a run's barriers.

use walk_record::Run;

use super::interpolation::{Barriers, measured, percent, units};
use super::share::ShareBounds;
use crate::interpolation::EpochSegments;

/// How many of the updates crossed a barrier, and what that implies for updates in general, from runs that differ only in
/// their seeds; `None` if nothing was decided.
pub fn conclusion(runs: &[&Run]) -> Option<String> {
    let runs = measured(runs);
    let Barriers { raw: barriers, beyond_noise, untested, updates } = Barriers::of(&runs);
    let undecided: usize = runs.iter().flat_map(|run| &run.epochs).map(EpochSegments::undecided).sum();
    if updates == 0 {
        return None;
    }
    let bounds = ShareBounds::new(&units(&runs, EpochSegments::barriers, EpochSegments::decided));
    let bound = if bounds.upper < 1.0 {
        format!("fewer than {}", percent(bounds.upper))
    } else {
        format!("more than {}", percent(bounds.lower))
    };
    let implied = format!("with 95% confidence, {bound} do");
    let noise = match (beyond_noise, untested) {
        (_, all) if all == barriers => String::new(),
        (0, 0) => ", none of them beyond the noise of the loss".into(),
        (n, 0) => format!(", {n} of them beyond the noise of the loss"),
        (n, m) => format!(", {n} of them beyond the noise of the loss, which was not measured for {m}"),
    };
    let found = match (barriers, updates) {
        (0, 1) => format!("The update crossed no barrier; {implied}."),
        (0, _) => format!("None of {updates} updates crossed a barrier; {implied}."),
        _ => format!("{barriers} of {updates} updates crossed a barrier{noise}; {implied}."),
    };
    Some(match undecided {
        0 => found,
        n => format!("{found} Non-finite losses leave {n} more undecided."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{noise, row, run, segment};

    fn of(barriers: usize, sigma: Option<f64>) -> String {
        let rows = (1..=40).map(|step| row(1, step, segment(step as usize <= barriers, 0.1)));
        let noise = sigma.map(|sigma| row(1, 40, noise(sigma)));
        conclusion(&[&run("mlp", rows.chain(noise))]).unwrap()
    }

    #[test]
    fn barriers_are_summed_up() {
        // 1 - 0.05^(3.76 / 40), for dependent updates
        assert_eq!(
            of(0, None),
            "None of 40 updates crossed a barrier; with 95% confidence, fewer than 24.6% do."
        );
        assert!(of(2, None).starts_with("2 of 40 updates crossed a barrier; with 95%"), "{}", of(2, None));
        assert!(of(40, None).contains("40 of 40 updates crossed a barrier; with 95% confidence, more than "));
        let explained = of(2, Some(1.0));
        assert!(explained.contains("barrier, none of them beyond the noise of the loss;"), "{explained}");
        assert!(of(2, Some(1e-9)).contains("barrier, 2 of them beyond"), "{}", of(2, Some(1e-9)));
        let epochs = [1, 2].map(|epoch| row(epoch, u64::from(epoch), segment(true, 0.1)));
        let partly = conclusion(&[&run("mlp", epochs.into_iter().chain([row(1, 1, noise(1e-9))]))]).unwrap();
        let expected =
            "crossed a barrier, 1 of them beyond the noise of the loss, which was not measured for 1;";
        assert!(partly.contains(expected), "{partly}");
        assert!(conclusion(&[&run("mlp", [])]).is_none());
    }
}
