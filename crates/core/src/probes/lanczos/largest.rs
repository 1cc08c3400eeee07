//! The largest eigenvalues, with multiplicity.
//!
//! The Krylov space of one start vector contains one copy of a repeated eigenvalue. Hence the search runs again from a new random
//! vector in the orthogonal complement of the eigenvectors found, and adds what is larger than the smallest requested one,
//! until a run shows that there is nothing larger. A run shows a bound that holds with a probability of 99.9%, as for Kuczynski &
//! Wozniakowski (1992): the start, uniform on the sphere, has along a given eigenvector a component c of at least
//! δ √(π / 2P) with probability 1 - δ. The Lanczos recurrence amplifies the component of an eigenvalue M to
//! c Π (M - θ_j) / β_j, a part of a vector of norm 1 ([`log_growth`]). An M for which this would exceed 1 does not exist.

use super::ROUNDING;
use super::krylov::{Eigenpair, Krylov};
use super::tridiagonal::log_growth;

/// δ: probability that a larger eigenvalue is missed.
const MISSED: f64 = 1e-3;

/// What to find, and at what cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LargestConfig {
    /// k: number of largest eigenvalues.
    pub values: usize,
    /// Residuals must be below this fraction of the largest eigenvalue, and no eigenvalue left out may exceed the smallest
    /// of those found by more than that.
    pub tolerance: f64,
    /// Maximum number of products, at least 1.
    pub products: usize,
}

/// A Ritz value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ritz {
    /// λ
    pub value: f64,
    /// An eigenvalue of H lies within this distance of λ.
    pub residual: f64,
}

/// Whether all requested eigenvalues were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// All requested ones, and with a probability of 99.9%, none left out is larger by more than the tolerance.
    Verified,
    /// Fewer than requested: the matrix has no more, or the others are zero.
    AllNonzero,
    /// The products were used up before all residuals were small and larger eigenvalues were excluded.
    Unverified,
    /// A product was not finite: nothing was found.
    Undefined,
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Largest {
    /// Largest first.
    pub pairs: Vec<Eigenpair>,
    /// The smallest Ritz value; NaN where a product was not finite.
    pub smallest: Ritz,
    /// Number of products with H.
    pub products: usize,
    /// Whether these are all requested ones.
    pub completeness: Completeness,
}

/// Finds the largest eigenvalues of H from its products with vectors of length P.
///
/// The first run starts at `start`, which may be a guess and must not be 0, later ones at vectors from `random`, whose
/// directions are uniformly distributed.
///
/// # Errors
/// Those of `product`.
pub fn largest_eigenpairs<E>(
    config: LargestConfig,
    start: Vec<f32>,
    random: impl FnMut() -> Vec<f32>,
    mut product: impl FnMut(&[f32]) -> Result<Vec<f32>, E>,
) -> Result<Largest, E> {
    Search::new(config, start.len()).run(start, random, &mut product)
}

struct Search {
    config: LargestConfig,
    /// P
    dimension: usize,
    /// Eigenvalues to find: k, or P if there are fewer.
    wanted: usize,
    /// Largest first; may be more than requested.
    found: Vec<Eigenpair>,
    smallest: Ritz,
    /// The largest absolute value of a Ritz value.
    scale: f64,
    largest_product: f64,
    products: usize,
}

/// How a run of the Lanczos method ended.
enum RunEnd {
    /// It found eigenpairs; there may be more.
    Found(Vec<Eigenpair>),
    /// Nothing beyond what was found is large enough.
    Verified(Vec<Eigenpair>),
    /// The products are used up.
    Spent(Vec<Eigenpair>),
    NotFinite,
}

impl Search {
    fn new(config: LargestConfig, dimension: usize) -> Self {
        let smallest = Ritz { value: f64::INFINITY, residual: f64::NAN };
        let wanted = config.values.min(dimension);
        let (scale, largest_product, products) = (0.0, 0.0, 0);
        Self { config, dimension, wanted, found: vec![], smallest, scale, largest_product, products }
    }

    fn run<E>(
        mut self,
        start: Vec<f32>,
        mut random: impl FnMut() -> Vec<f32>,
        product: &mut impl FnMut(&[f32]) -> Result<Vec<f32>, E>,
    ) -> Result<Largest, E> {
        let mut start = Some(start);
        loop {
            let known = std::mem::take(&mut self.found);
            let start = start.take().unwrap_or_else(&mut random);
            let end = self.run_beside(&known, start, product)?;
            self.found = known;
            let completeness = match end {
                RunEnd::NotFinite => return Ok(self.undefined()),
                RunEnd::Found(pairs) => {
                    self.add(pairs);
                    continue;
                }
                RunEnd::Spent(pairs) => {
                    self.add(pairs);
                    Completeness::Unverified
                }
                RunEnd::Verified(pairs) => {
                    self.add(pairs);
                    Completeness::Verified
                }
            };
            return Ok(self.result(completeness));
        }
    }

    /// Runs in the complement of the known eigenvectors until it has found eigenpairs that belong to the largest, or shown
    /// that there are none.
    fn run_beside<E>(
        &mut self,
        known: &[Eigenpair],
        start: Vec<f32>,
        product: &mut impl FnMut(&[f32]) -> Result<Vec<f32>, E>,
    ) -> Result<RunEnd, E> {
        let missing = self.wanted.saturating_sub(known.len());
        let level = (missing == 0).then(|| known[self.wanted - 1].value + self.tolerated());
        let mut krylov = Krylov::new(start, known);
        let mut next_look = 1;
        loop {
            if !krylov.step(product)? {
                return Ok(RunEnd::NotFinite);
            }
            self.products += 1;
            self.largest_product = self.largest_product.max(krylov.largest_product);
            let is_spent = self.products >= self.config.products;
            let is_whole = known.len() + krylov.len() >= self.dimension;
            let growth = level.and_then(|level| log_growth(&krylov.alphas, &krylov.betas, level));
            if growth.is_some_and(|growth| growth >= self.growth_needed() || is_whole) {
                self.see_smallest(&krylov, known);
                return Ok(RunEnd::Verified(vec![]));
            }
            if growth.is_some() && !is_spent {
                // nothing larger so far
                continue;
            }
            // the rest is rounding: the basis spans an invariant space
            let is_exhausted = is_whole || krylov.last_beta() <= ROUNDING * self.largest_product;
            if !(is_exhausted || is_spent) && krylov.len() < next_look {
                continue;
            }
            // O(m²) each: often enough to stop in time, too rarely to be noticed beside m vectors of length P
            next_look = krylov.len() + 1 + krylov.len() / 32;
            let last = krylov.len() - 1;
            let ritz = krylov.ritz(&[last]);
            self.scale = ritz.values.iter().fold(self.scale, |most, value| most.max(value.abs()));
            let count = match level {
                // no other run will see the rest
                _ if is_whole => self.wanted.min(krylov.len()),
                None => missing.min(krylov.len()),
                Some(level) => ritz.values.iter().filter(|&&value| value >= level).count(),
            };
            let residual = |index: usize| krylov.last_beta() * ritz.vectors[index][0].abs();
            let is_converged =
                count >= missing.max(1) && (0..count).all(|index| residual(index) <= self.tolerated());
            if is_converged || is_exhausted || is_spent {
                self.see_smallest(&krylov, known);
                let pairs = pairs(&krylov, count);
                return Ok(match () {
                    () if is_whole => RunEnd::Verified(pairs),
                    () if is_spent => RunEnd::Spent(pairs),
                    () => RunEnd::Found(pairs),
                });
            }
        }
    }

    /// The accepted error of an eigenvalue.
    fn tolerated(&self) -> f64 {
        (self.config.tolerance * self.scale).max(f64::MIN_POSITIVE)
    }

    /// ln(1 / c) for the component c that a random start exceeds with probability 1 - δ.
    fn growth_needed(&self) -> f64 {
        ((2.0 * self.dimension as f64 / std::f64::consts::PI).sqrt() / MISSED).ln()
    }

    fn see_smallest(&mut self, krylov: &Krylov<'_>, known: &[Eigenpair]) {
        let last = krylov.len() - 1;
        let ritz = krylov.ritz(&[last]);
        let value = ritz.values[last];
        if value < self.smallest.value {
            // the known vectors are eigenvectors up to their residuals
            let known: f64 = known.iter().map(|pair| pair.residual.powi(2)).sum();
            let residual = (krylov.last_beta() * ritz.vectors[last][0]).hypot(known.sqrt());
            let residual = residual.hypot(krylov.rounding());
            self.smallest = Ritz { value, residual };
        }
    }

    fn add(&mut self, pairs: Vec<Eigenpair>) {
        self.found.extend(pairs);
        self.found.sort_by(|a, b| b.value.total_cmp(&a.value));
    }

    fn result(mut self, mut completeness: Completeness) -> Largest {
        self.found.truncate(self.wanted);
        if completeness == Completeness::Verified {
            let is_zero = |pair: &Eigenpair| pair.value.abs() <= ROUNDING * self.largest_product;
            while self.found.last().is_some_and(is_zero) {
                self.found.pop();
            }
            if self.found.len() < self.config.values {
                completeness = Completeness::AllNonzero;
            }
        }
        let Self { found: pairs, smallest, products, .. } = self;
        Largest { pairs, smallest, products, completeness }
    }

    fn undefined(self) -> Largest {
        let smallest = Ritz { value: f64::NAN, residual: f64::NAN };
        let completeness = Completeness::Undefined;
        Largest { pairs: vec![], smallest, products: self.products + 1, completeness }
    }
}

/// The `count` largest Ritz pairs.
fn pairs(krylov: &Krylov<'_>, count: usize) -> Vec<Eigenpair> {
    let all: Vec<usize> = (0..krylov.len()).collect();
    let ritz = krylov.ritz(&all);
    let pair = |(&value, s): (&f64, &Vec<f64>)| Eigenpair {
        value,
        residual: krylov.residual(s),
        vector: krylov.vector(s),
    };
    ritz.values.iter().zip(&ritz.vectors).take(count).map(pair).collect()
}

#[cfg(test)]
mod tests;
