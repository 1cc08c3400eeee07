//! Alignment of gradients with the Hessian, and the prediction of Eq. 3.

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
    /// gᵀHg / gᵀg (paper, Eq. 4); NaN for a gradient of 0.
    pub fn ratio(self) -> f64 {
        self.curvature / self.norm_sq
    }
}

/// The results for batches of one size.
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
    /// Mean of gᵀHg over mean of gᵀg, with its standard error by the delta method: to first order, a ratio of means
    /// varies like the mean of gᵀHg - ratio gᵀg.
    pub fn ratio_of_means(&self) -> Estimate {
        let mean = |value: fn(&GradientProducts) -> f64| {
            Moments::of(&self.batches.iter().map(value).collect::<Vec<f64>>()).mean
        };
        let norm_sq = mean(|products| products.norm_sq);
        let value = mean(|products| products.curvature) / norm_sq;
        let apart: Vec<f64> =
            self.batches.iter().map(|products| products.curvature - value * products.norm_sq).collect();
        Estimate { value, error: Moments::of(&apart).standard_error.map(|error| error / norm_sq) }
    }
}

/// Eq. 3's prediction for the ratio of means at 1/B - 1/N = `factor`, (ḡᵀHḡ + f tr(HC)) / (‖ḡ‖² + f tr C), with the two traces
/// estimated from batches of other sizes: E g_BᵀHg_B - ḡᵀHḡ = f_B tr(HC) and E‖g_B‖² - ‖ḡ‖² = f_B tr C. Its standard error
/// follows from the spread of the other sizes' batches (delta method); it has none at the full set's factor of 0, where nothing
/// is estimated. Sizes with a batch whose products are not finite are left out. `None` if all the others are the full set.
pub fn predicted_ratio(full: GradientProducts, factor: f64, others: &[&BatchProducts]) -> Option<Estimate> {
    // the contributions of each batch to tr(HC) and tr C
    let mut traces_hc = vec![];
    let mut traces_c = vec![];
    let is_finite = |batch: &GradientProducts| batch.curvature.is_finite() && batch.norm_sq.is_finite();
    let usable = |other: &&&BatchProducts| other.factor > 0.0 && other.batches.iter().all(is_finite);
    for other in others.iter().filter(usable) {
        traces_hc.extend(other.batches.iter().map(|batch| (batch.curvature - full.curvature) / other.factor));
        traces_c.extend(other.batches.iter().map(|batch| (batch.norm_sq - full.norm_sq) / other.factor));
    }
    if traces_c.is_empty() {
        return None;
    }
    let denominator = full.norm_sq + factor * Moments::of(&traces_c).mean;
    let value = (full.curvature + factor * Moments::of(&traces_hc).mean) / denominator;
    let apart: Vec<f64> = traces_hc.iter().zip(&traces_c).map(|(hc, c)| hc - value * c).collect();
    let error = Moments::of(&apart).standard_error.filter(|_| factor > 0.0);
    Some(Estimate { value, error: error.map(|error| factor * error / denominator) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(factor: f64, norms: &[f64]) -> BatchProducts {
        let products = |&norm_sq| GradientProducts { curvature: 2.0 * norm_sq, norm_sq };
        BatchProducts { size: 2, factor, batches: norms.iter().map(products).collect() }
    }

    #[test]
    fn a_prediction_has_an_error_only_where_something_varies() {
        let full = GradientProducts { curvature: 2.0, norm_sq: 1.0 };
        let (two, one, broken) =
            (batches(0.5, &[1.5, 2.5]), batches(0.5, &[2.0]), batches(0.1, &[1.0, f64::INFINITY]));
        let both = predicted_ratio(full, 0.25, &[&two, &broken]).unwrap();
        assert!((both.value - 2.0).abs() < 1e-12 && both.error.is_some());
        assert_eq!(predicted_ratio(full, 0.25, &[&one]), Some(Estimate { value: 2.0, error: None }));
        assert_eq!(predicted_ratio(full, 0.0, &[&two]), Some(Estimate { value: 2.0, error: None }));
        assert_eq!(predicted_ratio(full, 0.25, &[&batches(0.0, &[1.0]), &broken]), None);
        assert_eq!(one.ratio_of_means(), Estimate { value: 2.0, error: None });
        assert!(batches(0.5, &[0.0]).ratio_of_means().value.is_nan());
    }
}
