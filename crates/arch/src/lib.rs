//! Plugin API: how an architecture is described, checked and passed to the host.
//!
//! A plugin describes a network as a [`Graph`] of standard layers; it never touches a tensor.
//! The host calls it through the C ABI of [`abi`], decodes the graph and turns it into a [`Network`]
//! (shapes, named parameters, buffers) with [`Graph::check`] before anything else uses it.
//!
//! ```
//! use walk_arch::{Activation, Graph, Net, Problem, batch_norm, flatten, linear};
//!
//! fn build(problem: &Problem) -> Graph {
//!     let net = Net::new();
//!     let mut layers = net.sequential("");
//!     layers.push(flatten());
//!     for width in [500, 350] {
//!         layers.push(linear(width)).push(batch_norm()).push(Activation::Relu);
//!     }
//!     layers.push(linear(problem.classes));
//!     net.finish(layers.output())
//! }
//!
//! let mnist = Problem { input: vec![1, 28, 28], classes: 10 };
//! let network = build(&mnist).check(&mnist)?;
//! assert_eq!(network.n_params(), 573_060); // the paper's MLP
//! # Ok::<(), walk_arch::GraphError>(())
//! ```

pub mod abi;
mod activation;
mod builder;
mod check;
mod graph;
mod host;
mod initial_values;
mod network;
mod ops;
mod options;
mod plugin_info;
mod suggest;

pub use activation::Activation;
pub use builder::{Net, Sequential, Var};
pub use check::GraphError;
pub use graph::{Graph, Node, ParamName, Problem};
pub use host::{PluginError, PluginHandle};
pub use initial_values::InitialValues;
pub use network::{BufferSpec, Layer, LayerBuffers, LayerParams, Network, ParamSpec};
pub use ops::{
    Affine, BatchNorm, Bias, Concat, Conv2d, Crop, Dropout, GroupNorm, Init, LayerNorm, Linear, Matmul, Op,
    PadChannels, Permute, Pool2d, Reshape, Scale, Subsample, affine, avg_pool2d, batch_norm, bias, conv2d,
    crop, dropout, flatten, global_avg_pool, group_norm, layer_norm, linear, matmul, max_pool2d,
    pad_channels, permute, reshape, softmax, subsample,
};
pub use options::{OptionError, OptionKind, OptionSpec, OptionValue, OptionValues, Options};
pub use plugin_info::PluginInfo;
pub use suggest::{did_you_mean, nearest, similarity};

#[doc(hidden)]
pub mod private {
    //! Items used by macro expansions; not for direct use.
    pub use crate::options::{Limits, check, declared};
}
