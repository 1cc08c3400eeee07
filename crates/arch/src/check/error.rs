//! Errors in a graph.

/// Maximum number of layers in a graph.
pub(super) const MAX_LAYERS: usize = 10_000;
/// Maximum number of elements in one layer's value for one sample: 256 Mi, 1 GiB of f32.
pub(super) const MAX_VALUE: usize = 1 << 28;
/// Maximum total number of parameters: 2 Gi, 8 GiB of f32.
pub(super) const MAX_PARAMS: usize = 1 << 31;
/// Maximum length of a layer name in bytes.
pub(super) const MAX_NAME: usize = 200;

/// Why a graph is not a valid network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum GraphError {
    #[error("the graph has {found} layers, expected 1 to {MAX_LAYERS}")]
    LayerCount { found: usize },
    #[error("layer {index} (`{name}`) must {}be the input: only the first layer is the input", if *.index == 0 { "" } else { "not " })]
    InputPlace { index: usize, name: String },
    #[error(
        "layer {index} has the name `{name}`, expected 1 to {MAX_NAME} printable bytes without white space"
    )]
    Name { index: usize, name: String },
    #[error("two layers are named `{name}`; names must be unique")]
    DuplicateName { name: String },
    #[error("layer `{layer}` ({op}) has {found} inputs, expected {expected}")]
    InputCount { layer: String, op: &'static str, found: usize, expected: usize },
    #[error("layer `{layer}` reads node {input}, but the graph has only {count} nodes")]
    UnknownInput { layer: String, input: usize, count: usize },
    #[error("layer `{layer}` reads a value of another `Net`; build all layers on one")]
    Foreign { layer: String },
    #[error("the graph's output is a value of another `Net`; finish the network that it was built on")]
    ForeignOutput,
    #[error(
        "layer `{layer}` reads `{input}`, which does not come before it: the graph is cyclic or out of order"
    )]
    Cycle { layer: String, input: String },
    #[error("layer `{layer}` ({op}) got an input of shape {found:?}, expected {expected}")]
    Shape { layer: String, op: &'static str, found: Vec<usize>, expected: String },
    #[error("layer `{layer}`: `{field}` = {found}, expected {expected}")]
    Field { layer: String, field: &'static str, found: String, expected: &'static str },
    #[error("layer `{layer}` is too large: {what} would have more than {limit} elements")]
    TooLarge { layer: String, what: &'static str, limit: usize },
    #[error("parameter `{name}` has shape {found:?} in files, expected as many elements as {expected:?}")]
    ParamShape { name: String, found: Vec<usize>, expected: Vec<usize> },
    #[error("two parameters or buffers are called `{name}`; names must be unique")]
    DuplicateParam { name: String },
    #[error("the graph has no output; finish the network with the value of its last layer")]
    NoOutput,
    #[error("the graph's output is node {output}, but it has only {count} nodes")]
    UnknownOutput { output: usize, count: usize },
    #[error("the output layer `{layer}` has shape {found:?}, expected [{classes}]: one value per class")]
    OutputShape { layer: String, found: Vec<usize>, classes: usize },
    #[error("layer `{layer}` does not lead to the output; remove it or connect it")]
    Unused { layer: String },
    #[error("the network has no parameters to train")]
    NoParams,
    #[error(
        "the input shape {found:?} is not usable: expected 1 to 4 dimensions, each at least 1, at most {MAX_VALUE} elements"
    )]
    Input { found: Vec<usize> },
    #[error("{found} classes, expected at least 2")]
    Classes { found: usize },
}
