//! A small vision transformer (Dosovitskiy et al., 2021) with norms before attention and MLP. The head uses the mean of
//! the tokens; there is no class token.

use walk_arch::{
    Activation, Conv2d, Graph, Net, Problem, Var, bias, conv2d, dropout, export_plugin, global_avg_pool,
    layer_norm, linear, matmul, options, permute, reshape, softmax,
};

options! {
    /// Options of the vision transformer.
    pub struct VitOptions {
        /// side of a patch in pixels; it divides the image's sides
        patch: usize = 4, in 1..=256;
        /// features of a token
        width: usize = 64, in 1..=8192;
        /// number of blocks
        depth: usize = 4, in 1..=256;
        /// attention heads; they divide the width
        heads: usize = 4, in 1..=256;
        /// width of an MLP's hidden layer
        hidden: usize = 128, in 1..=65536;
        /// probability of dropout after attention and MLP; 0 for none
        dropout: f64 = 0.0, in 0.0..=0.99;
    }
}

/// The graph, with parameters `patch`, `pos`, `blocks.N.{norm1, q, k, v, proj, norm2, fc1, fc2}`, `norm`, `head`.
///
/// # Errors
/// If the patches do not cover the image, or the heads do not divide the width.
pub fn build(options: &VitOptions, problem: &Problem) -> Result<Graph, String> {
    let VitOptions { patch, width, depth, heads, .. } = *options;
    let [_, height, across] = problem.input[..] else {
        return Err(format!("vit needs images, found inputs of shape {:?}", problem.input));
    };
    if !height.is_multiple_of(patch) || !across.is_multiple_of(patch) {
        return Err(format!(
            "`patch` = {patch}, expected a divisor of the image's sides {height} and {across}"
        ));
    }
    if !width.is_multiple_of(heads) {
        return Err(format!("`heads` = {heads}, expected a divisor of `width` = {width}"));
    }
    let tokens = (height / patch) * (across / patch);
    let net = Net::new();
    let x = net.input().then("patch", Conv2d { stride: [patch; 2], ..conv2d(width, patch) });
    let x = x.then("patch.flat", reshape(&[width, tokens])).then("patch.tokens", permute(&[1, 0]));
    let mut x = x.then("pos", bias(0.02));
    for index in 0..depth {
        x = block(x, &format!("blocks.{index}"), tokens, options);
    }
    let x = x.then("norm", layer_norm()).then("pool.turn", permute(&[1, 0]));
    let x = x.then("pool.image", reshape(&[width, tokens, 1])).then("pool", global_avg_pool());
    Ok(net.finish(x.then("head", linear(problem.classes))))
}

/// x + MLP(norm(x')) with x' = x + attention(norm(x))
fn block<'n>(x: Var<'n>, name: &str, tokens: usize, options: &VitOptions) -> Var<'n> {
    let VitOptions { width, heads, hidden, dropout: p, .. } = *options;
    let named = |part: &str| format!("{name}.{part}");
    let maybe_drop =
        |x: Var<'n>, part: &str| if p > 0.0 { x.then(named(part), dropout(p as f32)) } else { x };
    let h = x.then(named("norm1"), layer_norm());
    let of_heads = |part: &str| {
        let split = h
            .then(named(part), linear(width))
            .then(named(&format!("{part}.split")), reshape(&[tokens, heads, width / heads]));
        split.then(named(&format!("{part}.heads")), permute(&[1, 0, 2]))
    };
    let (q, k, v) = (of_heads("q"), of_heads("k"), of_heads("v"));
    let scale = 1.0 / ((width / heads) as f32).sqrt();
    let p =
        q.matmul(named("scores"), k, matmul().transposed().scale(scale)).then(named("softmax"), softmax());
    let y = p.matmul(named("attention"), v, matmul()).then(named("together"), permute(&[1, 0, 2]));
    let y = y.then(named("joined"), reshape(&[tokens, width])).then(named("proj"), linear(width));
    let x = maybe_drop(y, "drop1").add(named("add1"), x);
    let y = x.then(named("norm2"), layer_norm()).then(named("fc1"), linear(hidden));
    let y = y.then(named("gelu"), Activation::Gelu).then(named("fc2"), linear(width));
    maybe_drop(y, "drop2").add(named("add2"), x)
}

export_plugin! {
    /// small vision transformer, pre-norm, mean of the tokens
    name: "vit", options: VitOptions, build: build
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_parameters_of_its_formula_and_refuses_what_does_not_fit() {
        let problem = Problem { input: vec![3, 32, 32], classes: 10 };
        let n = |options: &VitOptions| {
            Ok::<_, String>(build(options, &problem)?.check(&problem).unwrap().n_params())
        };
        let (w, h, t) = (64, 128, 64);
        let block = 4 * (w * w + w) + 4 * w + w * h + h + h * w + w;
        let all = 3 * 16 * w + w + t * w + 4 * block + 2 * w + 10 * w + 10;
        assert_eq!(n(&VitOptions::default()).unwrap(), all);
        assert_eq!(n(&VitOptions { dropout: 0.1, ..VitOptions::default() }).unwrap(), all);
        assert!(n(&VitOptions { patch: 5, ..VitOptions::default() }).unwrap_err().contains("`patch` = 5"));
        assert!(n(&VitOptions { heads: 3, ..VitOptions::default() }).unwrap_err().contains("`heads` = 3"));
        assert!(build(&VitOptions::default(), &Problem { input: vec![784], classes: 10 }).is_err());
    }
}
