//! The loss on the line between two consecutive updates (paper, Section 2).

use super::line::greatest;
use super::path::PathLoss;
use crate::{CoreError, Point, Samples, Step};

/// The losses L(α) at θ_α = (1 - α) θ_t + α θ_{t+1}.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    alphas: Vec<f64>,
    losses: Vec<f64>,
}

impl Segment {
    /// A segment from its losses at evenly spaced α; `None` if there are fewer than 3.
    pub fn new(losses: Vec<f64>) -> Option<Self> {
        let last = losses.len().checked_sub(1).filter(|&last| last >= 2)?;
        Some(Self { alphas: (0..=last).map(|i| i as f64 / last as f64).collect(), losses })
    }

    /// The values of α, from 0 to 1.
    pub fn alphas(&self) -> &[f64] {
        &self.alphas
    }

    /// The mean loss at each α.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// L(θ_t).
    pub fn start_loss(&self) -> f64 {
        self.losses[0]
    }

    /// L(θ_{t+1}).
    pub fn end_loss(&self) -> f64 {
        self.losses[self.losses.len() - 1]
    }

    fn interior(&self) -> &[f64] {
        &self.losses[1..self.losses.len() - 1]
    }

    /// max(L_t, L_{t+1}), NaN if either is.
    fn higher_end(&self) -> f64 {
        greatest(&[self.start_loss(), self.end_loss()])
    }

    /// max over interior α of L, minus max(L_t, L_{t+1}): above 0 if there is a barrier. Unit: loss. Not finite if one of the
    /// losses is not.
    pub fn barrier_height(&self) -> f64 {
        greatest(self.interior()) - self.higher_end()
    }

    /// Whether some interior point lies above both endpoints: the paper's "a barrier is crossed". `None` if NaN losses leave it
    /// undecided.
    pub fn has_barrier(&self) -> Option<bool> {
        let end = self.higher_end();
        let is_above = self.interior().iter().any(|&loss| loss > end);
        (is_above || !self.losses.iter().any(|loss| loss.is_nan())).then_some(is_above)
    }

    /// (L_t + L_{t+1}) / 2 - L_min: how deep the valley lies below the mean of its ends. The paper's Figure 4 calls
    /// this the height. Unit: loss.
    pub fn valley_depth(&self) -> f64 {
        0.5 * (self.start_loss() + self.end_loss()) - self.min_loss()
    }

    /// The α of the smallest loss, the first if there are several.
    pub fn min_alpha(&self) -> f64 {
        self.alphas[self.min_index()]
    }

    /// The smallest loss that is a number: the valley floor.
    pub fn min_loss(&self) -> f64 {
        self.losses[self.min_index()]
    }

    /// Where the step lands on the parabola through its losses (Cockpit, Schneider et al., 2021): -1 at the start, 0 at
    /// the floor, 1 at the same height on the opposite wall; `None` if the curve is not a valley. The parabola is the least
    /// squares fit over all α.
    pub fn landing(&self) -> Option<f64> {
        // normal equations for the basis x - mean, x² - c x - d made orthogonal over the grid
        let n = self.alphas.len() as f64;
        let mean = |f: &dyn Fn(f64) -> f64| self.alphas.iter().map(|&x| f(x)).sum::<f64>() / n;
        let linear = |x: f64| x - 0.5;
        let offset = mean(&|x| linear(x) * linear(x));
        let square = |x: f64| linear(x) * linear(x) - offset;
        let project = |basis: &dyn Fn(f64) -> f64| {
            let product: f64 = self.alphas.iter().zip(&self.losses).map(|(&x, loss)| basis(x) * loss).sum();
            product / (n * mean(&|x| basis(x) * basis(x)))
        };
        let (slope, curve) = (project(&linear), project(&square));
        // the floor of slope (x - ½) + curve (x - ½)²
        let floor = 0.5 - slope / (2.0 * curve);
        (curve > 0.0 && floor > 0.0).then(|| (1.0 - floor) / floor)
    }

    pub(super) fn min_index(&self) -> usize {
        let is_lower = |a: f64, b: f64| a < b || b.is_nan();
        let better =
            |best: usize, i: usize| if is_lower(self.losses[i], self.losses[best]) { i } else { best };
        (1..self.losses.len()).fold(0, better)
    }

    /// The interior point with the largest loss, the first if there are several.
    pub(super) fn highest_interior(&self) -> usize {
        (1..self.losses.len() - 1)
            .fold(1, |best, i| if self.losses[i] > self.losses[best] { i } else { best })
    }

    /// Whether every loss is a finite number.
    pub fn is_finite(&self) -> bool {
        self.losses.iter().all(|loss| loss.is_finite())
    }
}

/// The line of one update.
#[derive(Clone, Copy, Debug)]
pub struct UpdateLine<'a> {
    /// Number of updates made at `from`.
    pub step: Step,
    /// θ_t and its buffers.
    pub from: &'a Point,
    /// θ_{t+1} and its buffers.
    pub to: &'a Point,
}

impl UpdateLine<'_> {
    /// Makes `point` number `index` of 0 to `last`, evenly spaced; the ends are exact.
    pub(super) fn set_point(&self, index: usize, last: usize, point: &mut Point) {
        match index {
            0 => point.clone_from(self.from),
            _ if index == last => point.clone_from(self.to),
            _ => point.set_between(self.from, self.to, index as f64 / last as f64),
        }
    }
}

/// The samples that the loss at each α is evaluated on, by the index of α.
pub type SamplesOf<'a> = dyn Fn(usize) -> Box<dyn Samples + 'a> + 'a;

/// The end of a segment and the measurements there, reused at the start of the next.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentEnd {
    /// Number of updates made by then.
    pub step: Step,
    /// The mean loss, or that of each chunk, with NaN if unknown.
    pub losses: Vec<f64>,
}

/// Measures segment after segment and evaluates a shared point of two segments only once.
pub struct Interpolation<'a> {
    /// Number of values of α, evenly spaced from 0 to 1, including the ends. The paper's figures have 11.
    points: usize,
    path: PathLoss<'a>,
    /// Scratch for θ_α.
    between: Point,
    /// Where the last segment ended, with the mean loss there.
    pub last_end: Option<SegmentEnd>,
}

impl<'a> Interpolation<'a> {
    /// A probe of `points` values of α.
    ///
    /// # Panics
    /// If those are fewer than 3.
    pub fn new(points: usize, path: PathLoss<'a>) -> Self {
        assert!(points >= 3, "a segment has an interior");
        Self { points, path, between: Point::default(), last_end: None }
    }

    /// The evaluator.
    pub const fn path(&self) -> &PathLoss<'a> {
        &self.path
    }

    /// The losses along `line`, each on the samples that `samples` gives for the index of its α: the same every time, or redrawn.
    ///
    /// At α = 0 and 1 the parameters are those of the line's ends, so with the same batch norm statistics their losses
    /// equal a direct evaluation bit for bit.
    ///
    /// # Errors
    /// [`CoreError`] if a length does not fit the network or the device fails.
    pub fn measure(&mut self, line: UpdateLine<'_>, samples: &SamplesOf<'_>) -> Result<Segment, CoreError> {
        // the loss at the start, if the last segment ended there
        let known = self.last_end.take().filter(|end| end.step == line.step && end.losses.len() == 1);
        let mut losses = known.map_or(vec![], |end| end.losses);
        for index in losses.len()..self.points {
            line.set_point(index, self.points - 1, &mut self.between);
            losses.push(self.path.evaluate(&mut self.between, &*samples(index))?.mean_loss());
        }
        let segment = Segment::new(losses).expect("there are at least 3 points");
        self.last_end = Some(SegmentEnd { step: line.step.next(), losses: vec![segment.end_loss()] });
        Ok(segment)
    }
}

#[cfg(test)]
mod tests;
