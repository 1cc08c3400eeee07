//! Initial values of the parameters.

use rand::distributions::{Distribution, Uniform};
use rand_distr::Normal;
use walk_arch::{Init, Network};

use crate::{Seed, Stream};

/// θ_0. Every parameter tensor is drawn from its own stream, so changing one layer does not affect the others.
pub(crate) fn initial_params(network: &Network, seed: Seed) -> Vec<f32> {
    let mut params = vec![0.0; network.n_params()];
    for (index, spec) in network.params().iter().enumerate() {
        let mut rng = seed.rng(Stream::Init, [0, index as u64]);
        let values = params[spec.range.clone()].iter_mut();
        match spec.init {
            Init::Constant(value) => values.for_each(|x| *x = value),
            Init::Uniform { low, high } => {
                let uniform = Uniform::new(low, high);
                values.for_each(|x| *x = uniform.sample(&mut rng));
            }
            Init::Normal { std } => {
                let normal = Normal::new(0.0, std).expect("the graph check requires std > 0");
                values.for_each(|x| *x = normal.sample(&mut rng));
            }
            Init::FanIn | Init::FanOut => unreachable!("the graph check resolves them"),
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use walk_arch::{Linear, Net, Problem, batch_norm, linear};

    use super::*;

    #[test]
    fn values_follow_their_initializers() {
        let problem = Problem { input: vec![400], classes: 10 };
        let net = Net::new();
        let mut layers = net.sequential("");
        layers.push(linear(300)).push(batch_norm());
        layers.push(Linear { weight_init: Init::Normal { std: 0.1 }, ..linear(10) });
        let network = net.finish(layers.output()).check(&problem).unwrap();
        let params = initial_params(&network, Seed(7));
        let values = |name: &str| {
            let spec = network.params().iter().find(|spec| spec.name == name).unwrap();
            &params[spec.range.clone()]
        };
        let moments = |x: &[f32]| {
            let mean = x.iter().sum::<f32>() / x.len() as f32;
            (mean, (x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / x.len() as f32).sqrt())
        };
        // 120,000 draws of U(-1/20, 1/20): std .0289 +- .00004; 3,000 draws of N(0, .01): .1 +- .0013
        let (mean, std) = moments(values("0.weight"));
        assert!(mean.abs() < 4e-4 && (std - 0.05 / 3f32.sqrt()).abs() < 2e-4, "{mean} {std}");
        let (mean, std) = moments(values("2.weight"));
        assert!(mean.abs() < 0.008 && (std - 0.1).abs() < 0.006, "{mean} {std}");
        assert!(values("1.weight").iter().all(|&x| x == 1.0) && values("1.bias").iter().all(|&x| x == 0.0));
        assert_eq!(params, initial_params(&network, Seed(7)));
        assert_ne!(params, initial_params(&network, Seed(8)));
    }
}
