//! The critical learning rate: how far along the update's direction the loss returns to its starting value.
//!
//! Along θ_t + α Δ with Δ = θ_{t+1} - θ_t the loss first falls and then rises again. With the first α > 0 at which it returns
//! to L(θ_t), α η is the critical learning rate and 2 / (α η) the critical sharpness, a curvature along the update that
//! requires a handful of losses and no Hessian (Kalra and Barkeshli, 2024, arXiv 2406.09405; Kalra et al.,
//! 2026, arXiv 2601.16979). On a quadratic with Δ = -η g, the critical learning rate
//! is 2 ḡᵀg / gᵀHg.

/// Parameters of the search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossingConfig {
    /// The search ends at this α; at least 1.
    pub max_alpha: f64,
    /// Maximum number of loss evaluations, including the one at α = 0; at least 3.
    pub evaluations: usize,
    /// The bracket is narrow enough when its width is below this fraction of its upper end.
    pub tolerance: f64,
}

/// The outcome of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crossing {
    /// The loss returns to its starting value at `alpha`, which lies in a bracket of width `width`.
    At {
        /// The root of L(α) - L(0), interpolated within the bracket: exact if the loss is a parabola.
        alpha: f64,
        /// Width of the bracket.
        width: f64,
    },
    /// The loss is above its starting value at every α tried, down to the smallest.
    NoDescent,
    /// The loss stays below its starting value up to the largest α tried.
    NoCrossing,
    /// The loss at the start is not finite.
    Undefined,
}

/// A search and its cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossingSearch {
    /// The outcome.
    pub crossing: Crossing,
    /// L at α = 0.
    pub start_loss: f64,
    /// The largest α evaluated.
    pub largest_alpha: f64,
    /// Number of evaluations.
    pub evaluations: usize,
}

/// Below this α, a direction is considered not to descend.
const SMALLEST_ALPHA: f64 = 1.0 / 1024.0;

/// A point of the bracket: α and L(α) - L(0).
#[derive(Clone, Copy)]
struct Rise {
    alpha: f64,
    rise: f64,
}

impl Rise {
    /// The mean slope from α = 0, linear in α if the loss is a parabola.
    fn slope(self) -> f64 {
        self.rise / self.alpha
    }
}

/// Searches for the first α > 0 at which `loss` returns to `loss(0)`: doubles or halves α from 1 until the crossing is
/// bracketed, then bisects. A loss that is not finite counts as above the start.
///
/// # Errors
/// Those of `loss`.
pub fn first_crossing<E>(
    config: CrossingConfig,
    mut loss: impl FnMut(f64) -> Result<f64, E>,
) -> Result<CrossingSearch, E> {
    let start_loss = loss(0.0)?;
    let mut search =
        CrossingSearch { crossing: Crossing::Undefined, start_loss, largest_alpha: 0.0, evaluations: 1 };
    if !start_loss.is_finite() {
        return Ok(search);
    }
    let mut rise_at = |alpha: f64, search: &mut CrossingSearch| {
        search.evaluations += 1;
        search.largest_alpha = search.largest_alpha.max(alpha);
        let rise = loss(alpha)? - start_loss;
        Ok::<Rise, E>(Rise { alpha, rise: if rise.is_finite() { rise } else { f64::INFINITY } })
    };
    let first = rise_at(1.0, &mut search)?;
    let (mut low, mut high) = (first, first);
    while low.rise >= 0.0 {
        if low.alpha <= SMALLEST_ALPHA || search.evaluations >= config.evaluations {
            search.crossing = Crossing::NoDescent;
            return Ok(search);
        }
        high = low;
        low = rise_at(0.5 * low.alpha, &mut search)?;
    }
    while high.rise < 0.0 {
        if high.alpha >= config.max_alpha || search.evaluations >= config.evaluations {
            search.crossing = Crossing::NoCrossing;
            return Ok(search);
        }
        low = high;
        high = rise_at((2.0 * high.alpha).min(config.max_alpha), &mut search)?;
    }
    while high.alpha - low.alpha > config.tolerance * high.alpha && search.evaluations < config.evaluations {
        let middle = rise_at(0.5 * (low.alpha + high.alpha), &mut search)?;
        if middle.rise < 0.0 { low = middle } else { high = middle }
    }
    let width = high.alpha - low.alpha;
    // an infinite rise leaves the upper end itself out of the interpolation
    let share = if high.rise.is_finite() { low.slope() / (low.slope() - high.slope()) } else { 0.0 };
    search.crossing = Crossing::At { alpha: low.alpha + share * width, width };
    Ok(search)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: CrossingConfig = CrossingConfig { max_alpha: 64.0, evaluations: 20, tolerance: 0.01 };

    fn search(loss: impl Fn(f64) -> f64) -> CrossingSearch {
        first_crossing::<()>(CONFIG, |alpha| Ok(loss(alpha))).unwrap()
    }

    #[test]
    fn a_parabola_is_back_where_it_started_exactly_at_its_root() {
        for root in [0.01, 0.3, 1.0, 1.7, 5.0, 60.0] {
            let found = search(|alpha| 2.0 + alpha * (alpha - root));
            let Crossing::At { alpha, width } = found.crossing else { panic!("{root}: {found:?}") };
            assert!((alpha - root).abs() < 1e-9 * root, "{root}: {alpha}");
            assert!(width <= 0.01 * root * 1.02 && found.evaluations <= 20, "{root}: {found:?}");
        }
    }

    #[test]
    fn the_first_crossing_counts_and_lies_in_its_bracket() {
        // back at the start at 1.5, 5 and 6
        let found = search(|alpha| alpha * (alpha - 1.5) * (alpha - 5.0) * (alpha - 6.0) / 45.0);
        let Crossing::At { alpha, width } = found.crossing else { panic!("{found:?}") };
        assert!((alpha - 1.5).abs() <= width && width <= 0.016, "{found:?}");
        assert!(found.largest_alpha <= 2.0);
    }

    #[test]
    fn what_does_not_descend_or_cross_is_a_result() {
        assert_eq!(search(|alpha| 1.0 + alpha).crossing, Crossing::NoDescent);
        assert_eq!(search(|_| 1.0).crossing, Crossing::NoDescent);
        let falling = search(|alpha| -alpha);
        assert_eq!((falling.crossing, falling.largest_alpha), (Crossing::NoCrossing, 64.0));
        assert_eq!(search(|_| f64::NAN).crossing, Crossing::Undefined);
        // beyond 3 the loss overflows
        let cliff = search(|alpha| if alpha > 3.0 { f64::INFINITY } else { -alpha });
        let Crossing::At { alpha, width } = cliff.crossing else { panic!("{cliff:?}") };
        assert!(alpha <= 3.0 && alpha + width >= 3.0, "{cliff:?}");
    }

    #[test]
    fn the_limit_on_evaluations_is_kept() {
        let config = CrossingConfig { evaluations: 5, ..CONFIG };
        let found = first_crossing::<()>(config, |alpha| Ok(alpha * (alpha - 3.0))).unwrap();
        // 0, 1, 2, 4, 3
        assert_eq!(found.evaluations, 5);
        let Crossing::At { alpha, width } = found.crossing else { panic!("{found:?}") };
        assert!((alpha - 3.0).abs() < 1e-9 && (width - 1.0).abs() < 1e-12, "{found:?}");
    }
}
