//! The paper's multi-layer perceptron: hidden layers of Linear, BatchNorm1d and ReLU, then a linear head.

use walk_arch::{
    Activation, Graph, Net, Problem, batch_norm, dropout, export_plugin, flatten, linear, options,
};

options! {
    /// Options of the MLP; the defaults are the paper's 784-500-350-10.
    pub struct MlpOptions {
        /// width of each hidden layer
        widths: Vec<usize> = vec![500, 350], in 1..=1_000_000;
        /// nonlinearity of the hidden layers
        activation: Activation = Activation::Relu;
        /// BatchNorm1d between each hidden linear layer and its nonlinearity
        batch_norm: bool = true;
        /// probability of dropout after each hidden layer; 0 for none
        dropout: f64 = 0.0, in 0.0..=0.99;
    }
}

/// The graph, with the parameter names of `nn.Sequential(nn.Flatten(), nn.Linear(..), ...)`.
///
/// # Errors
/// None; every combination of options is a valid network.
pub fn build(options: &MlpOptions, problem: &Problem) -> Result<Graph, String> {
    let net = Net::new();
    let mut layers = net.sequential("");
    layers.push(flatten());
    for &width in &options.widths {
        layers.push(linear(width));
        if options.batch_norm {
            layers.push(batch_norm());
        }
        layers.push(options.activation);
        if options.dropout > 0.0 {
            layers.push(dropout(options.dropout as f32));
        }
    }
    layers.push(linear(problem.classes));
    Ok(net.finish(layers.output()))
}

export_plugin! {
    /// multi-layer perceptron: Linear, BatchNorm1d, nonlinearity per hidden layer
    name: "mlp", options: MlpOptions, build: build
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(options: &MlpOptions, input: &[usize]) -> walk_arch::Network {
        let problem = Problem { input: input.to_vec(), classes: 10 };
        build(options, &problem).unwrap().check(&problem).unwrap()
    }

    #[test]
    fn the_default_is_the_papers_network() {
        assert_eq!(network(&MlpOptions::default(), &[1, 28, 28]).n_params(), 573_060);
    }

    #[test]
    fn takes_other_input_shapes_and_no_hidden_layer() {
        assert_eq!(network(&MlpOptions::default(), &[3, 32, 32]).params()[0].shape, [500, 3072]);
        let softmax_regression = MlpOptions { widths: vec![], ..MlpOptions::default() };
        assert_eq!(network(&softmax_regression, &[64]).n_params(), 650);
    }
}
