//! Mean and spread of a list of numbers.

/// A value and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error; none if a single measurement says nothing about it, or if the value is exact.
    pub error: Option<f64>,
}

/// Mean, variance, standard deviation and standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The mean; NaN for an empty list.
    pub mean: f64,
    /// The unbiased variance; none for fewer than two values.
    pub variance: Option<f64>,
    /// Its root.
    pub deviation: Option<f64>,
    /// Standard error of the mean; none for fewer than two values.
    pub standard_error: Option<f64>,
}

impl Moments {
    /// The moments of `values`, summed in order.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        let variance = (values.len() > 1).then(|| squares / (n - 1.0));
        let deviation = variance.map(f64::sqrt);
        Self { mean, variance, deviation, standard_error: deviation.map(|deviation| deviation / n.sqrt()) }
    }

    /// The mean with its standard error.
    pub const fn estimate(self) -> Estimate {
        Estimate { value: self.mean, error: self.standard_error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_textbook() {
        let found = Moments::of(&[1.0, 2.0, 3.0, 4.0]);
        let deviation = (5.0f64 / 3.0).sqrt();
        let (variance, standard_error) = (Some(5.0 / 3.0), Some(deviation / 2.0));
        assert_eq!(found, Moments { mean: 2.5, variance, deviation: Some(deviation), standard_error });
    }

    #[test]
    fn one_value_has_no_error() {
        assert_eq!(
            Moments::of(&[7.0]),
            Moments { mean: 7.0, variance: None, deviation: None, standard_error: None }
        );
        let none = Moments::of(&[]);
        assert!(none.mean.is_nan() && none.deviation.is_none() && none.standard_error.is_none());
    }
}
