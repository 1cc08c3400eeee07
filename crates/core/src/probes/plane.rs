//! Two directions of θ for a picture of the loss on a plane.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use walk_arch::Network;
use walk_kernels::elementwise::dot;

use super::jacobi::{Eigenpair, eigenpairs};
use crate::Point;

/// A random direction, each filter as long as the filter of `params` that it moves: d_f ← d_f ‖θ_f‖ / ‖d_f‖ (Li et al., 2018,
/// arXiv 1712.09913, Section 4). A filter is what one output of a layer reads; biases and the parameters of norms are not moved.
pub fn filter_normalized(network: &Network, params: &[f32], rng: &mut impl Rng) -> Vec<f32> {
    let mut direction = vec![0.0; params.len()];
    for spec in network.params().iter().filter(|spec| spec.shape.len() > 1) {
        let filter = spec.range.len() / spec.shape[0];
        let filters = direction[spec.range.clone()].chunks_mut(filter);
        for (d, theta) in filters.zip(params[spec.range.clone()].chunks(filter)) {
            d.iter_mut().for_each(|d| *d = StandardNormal.sample(rng));
            let factor = (dot(theta, theta) / dot(d, d)).sqrt();
            d.iter_mut().for_each(|d| *d = (f64::from(*d) * factor) as f32);
        }
    }
    direction
}

/// The principal directions of a trajectory.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Two directions of norm 1.
    pub directions: [Vec<f32>; 2],
    /// The shares of the trajectory's variation that they explain.
    pub explained: [f64; 2],
}

/// The first two principal components of the matrix of θ_i - θ_T (Li et al., 2018, Section 7.2), through its Gram matrix;
/// `None` if the trajectory spans less than a plane.
pub fn principal(trajectory: &[Vec<f32>], last: &[f32]) -> Option<Principal> {
    let rows: Vec<Vec<f32>> =
        trajectory.iter().map(|theta| theta.iter().zip(last).map(|(a, b)| a - b).collect()).collect();
    let gram = rows.iter().map(|one| rows.iter().map(|other| dot(one, other)).collect()).collect();
    let pairs = eigenpairs(gram);
    let total: f64 = pairs.iter().map(|pair| pair.value.max(0.0)).sum();
    let component = |pair: &Eigenpair| {
        let mut sum = vec![0.0f64; last.len()];
        for (row, &weight) in rows.iter().zip(&pair.vector) {
            sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += weight * f64::from(x));
        }
        let norm = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
        sum.into_iter().map(|x| (x / norm) as f32).collect::<Vec<f32>>()
    };
    let [first, second] = pairs.get(..2)? else { return None };
    let explained = [first, second].map(|pair| pair.value / total);
    // below that the second component is rounding
    (total > 0.0 && explained[1] > 1e-12)
        .then(|| Principal { directions: [component(first), component(second)], explained })
}

/// θ + x d_1 + y d_2 with θ = `origin`, written to the parameters of `to`; its buffers are unchanged.
pub fn move_along(origin: &Point, directions: &[Vec<f32>; 2], [x, y]: [f64; 2], to: &mut Point) {
    let [first, second] = directions;
    let params = to.params.iter_mut().zip(&origin.params).zip(first.iter().zip(second));
    params.for_each(|((to, &from), (&a, &b))| {
        *to = (f64::from(from) + x * f64::from(a) + y * f64::from(b)) as f32;
    });
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use walk_arch::Activation;

    use super::*;
    use crate::test_support::image_network;
    use crate::{Fused, Loss, Model, Seed, Stream};

    #[test]
    fn filters_of_a_random_direction_are_as_long_as_those_they_move() {
        let model =
            Model::new(Rc::new(Fused::default()), image_network(Activation::Relu), Loss::CrossEntropy);
        let params = model.initial(Seed(1)).params;
        let mut rng = Seed(1).rng(Stream::Plane, []);
        let direction = filter_normalized(model.network(), &params, &mut rng);
        for spec in model.network().params() {
            let (d, theta) = (&direction[spec.range.clone()], &params[spec.range.clone()]);
            if spec.shape.len() == 1 {
                assert!(d.iter().all(|&x| x == 0.0));
                continue;
            }
            let filter = spec.range.len() / spec.shape[0];
            for (d, theta) in d.chunks(filter).zip(theta.chunks(filter)) {
                assert!((dot(d, d) / dot(theta, theta) - 1.0).abs() < 1e-5);
                assert_ne!(d, theta);
            }
        }
    }

    #[test]
    fn principal_directions_are_those_of_an_ellipse() {
        // points in the plane of two known directions, three times as far along the first
        let (a, b) = ([0.6f32, 0.8, 0.0, 0.0], [0.0f32, 0.0, 0.8, -0.6]);
        let last = [1.0f32, 2.0, 3.0, 4.0];
        let point = |x: f32, y: f32| (0..4).map(|i| last[i] + x * a[i] + y * b[i]).collect::<Vec<f32>>();
        let trajectory = [point(3.0, 0.0), point(-3.0, 0.0), point(0.0, 1.0), point(0.0, -1.0)];
        let found = principal(&trajectory, &last).unwrap();
        assert!((dot(&found.directions[0], &a).abs() - 1.0).abs() < 1e-6);
        assert!((dot(&found.directions[1], &b).abs() - 1.0).abs() < 1e-6);
        assert!((found.explained[0] - 0.9).abs() < 1e-6 && (found.explained[1] - 0.1).abs() < 1e-6);
        assert!(principal(&trajectory[..1], &last).is_none());
        assert!(principal(&[point(1.0, 0.0), point(2.0, 0.0)], &last).is_none());
    }
}
