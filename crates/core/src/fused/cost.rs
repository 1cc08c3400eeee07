//! The minimum number of multiplications of a network's products.

use walk_arch::{Layer, Network, Op};

use super::layers::conv_shape;

/// Multiply-adds per sample, with the algorithms that need the fewest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeastProducts {
    /// For a loss.
    pub evaluation: usize,
    /// For a gradient.
    pub gradient: usize,
    /// For a Hessian-vector product.
    pub hessian_vector: usize,
}

impl LeastProducts {
    /// Those of a network. A layer with the weights W has one product for its value, and two more for a gradient: those by W
    /// and by its input x. A tangent has W ẋ and V x, and the reverse pass over it three products, by V, W and ẋ. Where no
    /// parameter comes before a layer, x has no gradient or tangent.
    pub fn of(network: &Network) -> Self {
        let (mut all, mut first) = (0, 0);
        let mut moves: Vec<bool> = vec![];
        for layer in network.layers() {
            let products = products(network, layer);
            let input_moves = layer.inputs.iter().any(|&input| moves[input]);
            all += products;
            if !input_moves {
                first += products;
            }
            moves.push(input_moves || layer.params.is_some());
        }
        Self { evaluation: all, gradient: 3 * all - first, hessian_vector: 8 * all - 5 * first }
    }
}

/// Those of a layer's value.
fn products(network: &Network, layer: &Layer) -> usize {
    match layer.op {
        Op::Conv2d(_) => conv_shape(network, layer).least_multiply_adds(),
        _ => network.layer_multiply_adds(layer),
    }
}

#[cfg(test)]
mod tests {
    use walk_arch::{Net, Problem, conv2d, flatten, linear, reshape};

    use super::*;

    #[test]
    fn products_are_counted_by_the_best_algorithm() {
        let problem = Problem { input: vec![3, 8, 6], classes: 2 };
        let net = Net::new();
        let x = net.input().then("same", flatten()).then("image", reshape(&[3, 8, 6]));
        let x = x.then("a", conv2d(4, 3).padding(1)).then("b", conv2d(5, 3).stride(2).padding(1));
        let network = net.finish(x.then("flat", flatten()).then("fc", linear(2))).check(&problem).unwrap();
        // F(4x4): 2 x 2 tiles of 36 products, where the definition has 9 x 48 and F(2x2) 12 tiles of 16
        // of b's 4 x 3 windows, 2, 3, 3 and 3 rows and 2, 3 and 3 columns are inside the image
        let (a, b, fc) = (4 * 36 * 3 * 4, 11 * 8 * 4 * 5, 60 * 2);
        let least = LeastProducts::of(&network);
        assert_eq!(least.evaluation, a + b + fc);
        assert_eq!(least.gradient, 2 * a + 3 * (b + fc));
        assert_eq!(least.hessian_vector, 3 * a + 8 * (b + fc));
    }
}
