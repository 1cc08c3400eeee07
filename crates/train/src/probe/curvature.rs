//! Matrices of the size of θ as products with vectors: the Hessian and its relatives, and diagonal blocks of them.

use std::ops::Range;

use walk_arch::Network;
use walk_core::CoreError;
use walk_record::rows::{ALL_PARAMETERS, Matrix};

use super::mean_loss::MeanLossAt;
use crate::thresholds::parts;
use crate::{OptimConfig, Rule, TrainError, Update};

/// The parameters of a diagonal block.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    /// The pattern of their names.
    pub(super) pattern: String,
    ranges: Vec<Range<usize>>,
    /// Number of parameters.
    pub(super) len: usize,
}

impl Block {
    /// The block of the parameters whose names match `pattern`; an error that names `key` if none does.
    pub(super) fn new(pattern: &str, network: &Network, key: &str) -> Result<Self, TrainError> {
        let block = Self::of(pattern, network, |name| matches(pattern, name));
        if block.ranges.is_empty() {
            let names: Vec<&str> = network.params().iter().map(|spec| spec.name.as_str()).take(4).collect();
            let expected = format!("a pattern of parameter names, such as {}, ...", names.join(", "));
            return Err(TrainError::value(key, format!("\"{pattern}\""), expected));
        }
        Ok(block)
    }

    /// The block of the parameters that `is_member` selects by name.
    fn of(pattern: &str, network: &Network, is_member: impl Fn(&str) -> bool) -> Self {
        let members = network.params().iter().filter(|spec| is_member(&spec.name));
        let ranges: Vec<Range<usize>> = members.map(|spec| spec.range.clone()).collect();
        let len = ranges.iter().map(Range::len).sum();
        Self { pattern: pattern.into(), ranges, len }
    }

    /// One block per layer, in the network's order: the parameters of a layer share their name up to the last dot. A parameter
    /// without a dot is a layer of its own.
    pub(super) fn of_layers(network: &Network) -> Vec<Self> {
        let layer = |name: &str| {
            name.rsplit_once('.').map_or_else(|| name.to_owned(), |(layer, _)| format!("{layer}.*"))
        };
        let mut layers: Vec<String> = vec![];
        for spec in network.params() {
            let name = layer(&spec.name);
            if !layers.contains(&name) {
                layers.push(name);
            }
        }
        let block = |own: &String| {
            let block = Self::of(own, network, |name| layer(name) == *own);
            if block == Self::of(own, network, |name| matches(own, name)) {
                return block;
            }
            // a layer within it matches the pattern too
            let names =
                network.params().iter().map(|spec| spec.name.as_str()).filter(|name| layer(name) == *own);
            Self { pattern: names.collect::<Vec<_>>().join(", "), ..block }
        };
        layers.iter().map(block).collect()
    }

    /// Whether it is the whole matrix.
    pub(super) fn is_whole(&self) -> bool {
        self.pattern == ALL_PARAMETERS
    }

    /// The block's elements of a vector of length P.
    pub(super) fn part(&self, vector: &[f32]) -> Vec<f32> {
        self.ranges.iter().flat_map(|range| &vector[range.clone()]).copied().collect()
    }

    /// The vector of length P that has these elements in the block and zeros elsewhere.
    pub(super) fn extended(&self, part: &[f32], n_params: usize) -> Vec<f32> {
        let (mut vector, mut rest) = (vec![0.0; n_params], part);
        for range in &self.ranges {
            let (own, after) = rest.split_at(range.len());
            vector[range.clone()].copy_from_slice(own);
            rest = after;
        }
        vector
    }
}

/// Whether a name matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let end = pieces.pop().unwrap_or("");
    for piece in pieces {
        let Some(at) = name.find(piece) else { return false };
        name = &name[at + piece.len()..];
    }
    name.ends_with(end)
}

/// The diagonal block of a matrix at the point after an update.
pub(super) struct Curvature<'a> {
    loss: &'a MeanLossAt<'a>,
    matrix: Matrix,
    block: &'a Block,
    n_params: usize,
    /// P^-1/2, for the preconditioned matrix.
    scale: Option<Vec<f32>>,
    /// w, where the preconditioned matrix includes it.
    weight_decay: f32,
    /// p: what the Hessian of the mean loss is multiplied by in the preconditioned matrix.
    parts: f32,
}

impl<'a> Curvature<'a> {
    pub(super) fn new(
        loss: &'a MeanLossAt<'a>,
        matrix: Matrix,
        block: &'a Block,
        update: &Update<'_>,
        optim: &OptimConfig,
        train_samples: usize,
    ) -> Self {
        let preconditioner = match matrix {
            Matrix::Preconditioned => update.optimizer.preconditioner(optim),
            Matrix::Hessian | Matrix::GaussNewton | Matrix::EmpiricalFisher => None,
        };
        let scale = preconditioner.map(|diagonal| diagonal.iter().map(|p| 1.0 / p.sqrt()).collect());
        let weight_decay = if optim.rule == Rule::Adam { optim.weight_decay as f32 } else { 0.0 };
        let (n_params, parts) = (update.after.params.len(), parts(optim, train_samples) as f32);
        Self { loss, matrix, block, n_params, scale, weight_decay, parts }
    }

    /// The block of the matrix of the mean loss of `samples`, times a vector of the block's length.
    pub(super) fn product(&self, samples: &[usize], v: &[f32]) -> Result<Vec<f32>, CoreError> {
        let mut v = self.block.extended(v, self.n_params);
        let product = match self.matrix {
            Matrix::Hessian => self.loss.hessian_vector(samples, &v)?,
            Matrix::GaussNewton => self.loss.gauss_newton_vector(samples, &v)?,
            Matrix::EmpiricalFisher => self.loss.empirical_fisher_vector(samples, &v)?,
            Matrix::Preconditioned => {
                self.scale(&mut v);
                let mut product = self.loss.hessian_vector(samples, &v)?;
                let decayed = product.iter_mut().zip(&v);
                decayed.for_each(|(hv, v)| *hv = self.parts * *hv + self.weight_decay * v);
                self.scale(&mut product);
                product
            }
        };
        Ok(self.block.part(&product))
    }

    /// A gradient in the matrix's coordinates, with the block's length.
    pub(super) fn gradient(&self, mut gradient: Vec<f32>) -> Vec<f32> {
        self.scale(&mut gradient);
        self.block.part(&gradient)
    }

    /// The direction of θ whose slopes are those of the block's direction `u`, of length P.
    pub(super) fn direction(&self, u: &[f32]) -> Vec<f32> {
        let mut direction = self.block.extended(u, self.n_params);
        self.scale(&mut direction);
        direction
    }

    fn scale(&self, vector: &mut [f32]) {
        if let Some(scale) = &self.scale {
            vector.iter_mut().zip(scale).for_each(|(x, scale)| *x *= scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use walk_arch::{Net, Problem, linear};

    use super::*;

    /// Two linear layers of these names, with 3 and 4 parameters.
    fn net_of(names: &[&str; 2]) -> Network {
        let (problem, net) = (Problem { input: vec![2], classes: 2 }, Net::new());
        let layers = net.input().then(names[0], linear(1)).then(names[1], linear(2));
        net.finish(layers).check(&problem).unwrap()
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in
            [("*", "a.weight"), ("a.*", "a.weight"), ("*.bias", "a.1.bias"), ("a*t*s", "a.test.bias")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "a.weight"), ("a.*", "b.a.weight"), ("*.bias", "a.bias.x"), ("ab*ba", "aba")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_block_takes_its_elements_and_puts_them_back() {
        let network = net_of(&["a", "b"]);
        let theta: Vec<f32> = (0..network.n_params()).map(|i| i as f32).collect();
        let layers = Block::of_layers(&network);
        let names: Vec<&str> = layers.iter().map(|block| block.pattern.as_str()).collect();
        assert_eq!((names, network.n_params()), (vec!["a.*", "b.*"], 7));
        let mut sum = [0.0; 7];
        for block in &layers {
            let part = block.part(&theta);
            assert_eq!(part.len(), block.len);
            sum.iter_mut().zip(block.extended(&part, 7)).for_each(|(sum, x)| *sum += x);
        }
        assert_eq!(sum, *theta);
        let biases = Block::new("*.bias", &network, "key").unwrap();
        assert_eq!(biases.len, 3);
        let nested = net_of(&["a", "a.b"]);
        let names: Vec<String> = Block::of_layers(&nested).into_iter().map(|block| block.pattern).collect();
        assert_eq!(names, ["a.weight, a.bias", "a.b.*"]);
        let error = Block::new("c.*", &network, "key").unwrap_err().to_string();
        assert!(error.contains("\"c.*\", expected a pattern of parameter names, such as a."), "{error}");
    }
}
