//! Labels of ticks, and the spacing of those of linear axes. The page's script has the same rules.

/// Evenly spaced ticks, labeled with the fewest digits that tell neighbors apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ticks {
    /// Distance between neighbors; ticks are its multiples.
    pub(crate) step: f64,
    /// The power of ten that all labels show; `None` if they are written out.
    exponent: Option<i32>,
    decimals: usize,
}

/// Number of characters, apart from the sign, up to which labels are written out.
const SHORT: usize = 6;

impl Ticks {
    /// The multiples of `step` between the ends of an axis; `None` if numbers cannot represent them.
    pub(crate) fn new((low, high): (f64, f64), step: f64) -> Option<Self> {
        let first = (low / step - 1e-9).ceil() * step;
        let last = (high / step + 1e-9).floor() * step;
        let largest = first.abs().max(last.abs());
        let is_grid = step > 0.0 && first.is_finite() && last.is_finite();
        if !is_grid {
            return None;
        }
        let (whole, digit) = (decimal_exponent(largest, 6)?.exponent, last_digit(step)?);
        let written = (-digit).max(0) as usize;
        let scaled = (whole - digit).max(0) as usize;
        // a number with decimals has a point as well
        let width = |decimals: usize| if decimals > 0 { decimals + 2 } else { 1 };
        let written_width = whole.max(0) as usize + width(written);
        let scaled_width = width(scaled) + 1 + whole.to_string().len();
        Some(if written_width <= SHORT || written_width <= scaled_width {
            Self { step, exponent: None, decimals: written }
        } else {
            Self { step, exponent: Some(whole), decimals: scaled }
        })
    }

    /// The step for about five ticks that are integers.
    pub(crate) fn integer_step((low, high): (f64, f64)) -> Option<f64> {
        let least = ((high - low) / 6.0).max(1.0);
        let decade = 10f64.powf(least.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * decade);
        steps.into_iter().find(|step| *step >= least).filter(|step| step.is_finite())
    }

    /// The label of a tick.
    pub(crate) fn label(&self, value: f64) -> String {
        let is_zero = value.abs() < 0.5 * self.step;
        let value = if is_zero { 0.0 } else { value };
        match self.exponent {
            Some(_) if is_zero => "0".into(),
            Some(exponent) => {
                format!("{:.*}e{exponent}", self.decimals, value / 10f64.powf(f64::from(exponent)))
            }
            None => format!("{value:.*}", self.decimals),
        }
    }
}

/// The label of a tick of a logarithmic axis: a power of ten, or twice or five times one.
pub(crate) fn power(value: f64) -> String {
    let text = format!("{value:.0e}");
    match text.parse::<f64>() {
        Ok(rounded) if (1e-3..1e5).contains(&rounded) => rounded.to_string(),
        _ => text,
    }
}

/// A number in scientific notation.
struct Scientific {
    mantissa: String,
    exponent: i32,
}

/// A number rounded to so many decimals in scientific notation.
fn decimal_exponent(value: f64, decimals: usize) -> Option<Scientific> {
    let text = format!("{value:.decimals$e}");
    let (mantissa, exponent) = text.split_once('e')?;
    Some(Scientific { mantissa: mantissa.into(), exponent: exponent.parse().ok()? })
}

/// The power of ten of the last digit of a step with at most two digits.
fn last_digit(step: f64) -> Option<i32> {
    let Scientific { mantissa, exponent } = decimal_exponent(step, 1)?;
    Some(if mantissa.ends_with(".0") { exponent } else { exponent - 1 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(first: f64, step: f64) -> Vec<String> {
        let ticks = Ticks::new((first, first + 3.0 * step), step).unwrap();
        (0..4).map(|k| ticks.label(first + f64::from(k) * step)).collect()
    }

    #[test]
    fn labels_have_the_digits_of_the_step() {
        assert_eq!(labels(0.0, 0.5), ["0.0", "0.5", "1.0", "1.5"]);
        assert_eq!(labels(-0.25, 0.25), ["-0.25", "0.00", "0.25", "0.50"]);
        assert_eq!(labels(0.0, 50000.0), ["0", "50000", "100000", "150000"]);
        assert_eq!(labels(99.7, 0.1), ["99.7", "99.8", "99.9", "100.0"]);
        // 0.1 + 0.1 + 0.1 is not 0.3
        assert_eq!(labels(-0.2, 0.1), ["-0.2", "-0.1", "0.0", "0.1"]);
    }

    #[test]
    fn labels_of_a_narrow_range_differ() {
        assert_eq!(labels(2.386, 1e-5), ["2.38600", "2.38601", "2.38602", "2.38603"]);
        assert_eq!(labels(123456.0, 0.5), ["123456.0", "123456.5", "123457.0", "123457.5"]);
    }

    #[test]
    fn tiny_and_huge_labels_share_a_power_of_ten() {
        assert_eq!(labels(0.0, 4e-4), ["0.0000", "0.0004", "0.0008", "0.0012"]);
        assert_eq!(labels(0.0, 4e-5), ["0", "0.4e-4", "0.8e-4", "1.2e-4"]);
        assert_eq!(labels(-1e-9, 1e-9), ["-1e-9", "0", "1e-9", "2e-9"]);
        assert_eq!(labels(0.0, 5e6), ["0", "0.5e7", "1.0e7", "1.5e7"]);
    }

    #[test]
    fn what_numbers_cannot_represent_has_no_ticks() {
        assert_eq!(Ticks::new((-1e308, 1e308), f64::INFINITY), None);
        assert_eq!(Ticks::new((0.0, 1.0), 0.0), None);
        assert_eq!(Ticks::new((f64::NAN, 1.0), 1.0), None);
    }

    #[test]
    fn ticks_of_a_log_axis_are_short() {
        assert_eq!(
            [5.0 * 1e-5, 2.0 * 1e-3, 0.1, 20.0, 1e23].map(power),
            ["5e-5", "0.002", "0.1", "20", "1e23"]
        );
    }

    proptest! {
        #[test]
        fn neighbors_never_look_alike(offset in -1e6..1e6f64, power in -12..6i32, factor in 0..4usize) {
            let step = [1.0, 2.0, 2.5, 5.0][factor] * 10f64.powi(power);
            let first = offset.round() * step;
            let labels = labels(first, step);
            let mut distinct = labels.clone();
            distinct.dedup();
            prop_assert_eq!(&distinct, &labels);
        }
    }
}
