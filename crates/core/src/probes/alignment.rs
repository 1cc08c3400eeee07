//! How gradients align with the Hessian, and what Eq. 3 predicts.

use super::moments::{Estimate, Moments};

/// gᵀHg and gᵀg of one gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientProducts {
    /// gᵀHg
    pub curvature: f64,
    /// gᵀg
    pub norm_sq: f64,
}

impl GradientProducts {
    /// gᵀHg / gᵀg (paper, Eq. 4).
    pub fn ratio(self) -> f64 {
        self.curvature / self.norm_sq
    }
}

/// What batches of one size gave.
#[derive(Clone, Debug)]
pub struct BatchProducts {
    /// B
    pub size: usize,
    /// 1/B - 1/N
    pub factor: f64,
    /// One entry per batch.
    pub batches: Vec<GradientProducts>,
}

impl BatchProducts {
    /// Mean of gᵀHg over mean of gᵀg, with its standard error by the delta method: a ratio of means moves as the mean of
    /// gᵀHg - ratio gᵀg does.
    pub fn ratio_of_means(&self) -> Estimate {
        let mean = |value: fn(&GradientProducts) -> f64| {
            Moments::of(&self.batches.iter().map(value).collect::<Vec<f64>>()).mean
        };
        let norm_sq = mean(|products| products.norm_sq);
        let value = mean(|products| products.curvature) / norm_sq;
        let apart: Vec<f64> =
            self.batches.iter().map(|products| products.curvature - value * products.norm_sq).collect();
        Estimate { value, error: Moments::of(&apart).standard_error / norm_sq }
    }
}

/// What Eq. 3 makes of the ratio of means at 1/B - 1/N = `factor`, (ḡᵀHḡ + f tr(HC)) / (‖ḡ‖² + f tr C), with the two traces
/// estimated from batches of other sizes: E g_BᵀHg_B - ḡᵀHḡ = f_B tr(HC) and E‖g_B‖² - ‖ḡ‖² = f_B tr C. Its standard error is
/// the one that the others' spread implies (delta method). `None` if all the others are the full set.
pub fn predicted_ratio(full: GradientProducts, factor: f64, others: &[&BatchProducts]) -> Option<Estimate> {
    // what each batch says about tr(HC) and tr C
    let mut traces_hc = vec![];
    let mut traces_c = vec![];
    for other in others.iter().filter(|other| other.factor > 0.0) {
        traces_hc.extend(other.batches.iter().map(|batch| (batch.curvature - full.curvature) / other.factor));
        traces_c.extend(other.batches.iter().map(|batch| (batch.norm_sq - full.norm_sq) / other.factor));
    }
    if traces_c.is_empty() {
        return None;
    }
    let denominator = full.norm_sq + factor * Moments::of(&traces_c).mean;
    let value = (full.curvature + factor * Moments::of(&traces_hc).mean) / denominator;
    let apart: Vec<f64> = traces_hc.iter().zip(&traces_c).map(|(hc, c)| hc - value * c).collect();
    Some(Estimate { value, error: factor * Moments::of(&apart).standard_error / denominator })
}
