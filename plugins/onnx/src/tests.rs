//! Hostile files. What good files give is compared with PyTorch in tests/onnx.rs.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::proto::{
    Dimension, Entry, Graph as OnnxGraph, Model, Node, OperatorSet, Shape, Tensor, TensorType, Type,
    ValueInfo,
};

fn problem() -> Problem {
    Problem { input: vec![4], classes: 2 }
}

fn value(name: &str, dims: &[i64]) -> ValueInfo {
    let dim = dims.iter().map(|&dim_value| Dimension { dim_value, dim_param: String::new() }).collect();
    let tensor_type = Some(TensorType { shape: Some(Shape { dim }) });
    ValueInfo { name: name.into(), r#type: Some(Type { tensor_type }) }
}

fn node(op: &str, input: &[&str], output: &str) -> Node {
    let input = input.iter().map(|&name| name.to_owned()).collect();
    Node { op_type: op.into(), input, output: vec![output.into()], ..Node::default() }
}

fn tensor(name: &str, dims: &[i64]) -> Tensor {
    let count = dims.iter().product::<i64>() as usize;
    Tensor {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: vec![0.5; count],
        ..Tensor::default()
    }
}

/// relu(x) W + b
fn good() -> Model {
    let graph = OnnxGraph {
        node: vec![
            node("Relu", &["x"], "h"),
            node("MatMul", &["h", "fc.weight"], "p"),
            node("Add", &["p", "fc.bias"], "y"),
        ],
        initializer: vec![tensor("fc.weight", &[4, 2]), tensor("fc.bias", &[2])],
        input: vec![value("x", &[1, 4])],
        output: vec![value("y", &[1, 2])],
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: 18 }];
    Model { graph: Some(graph), opset_import, metadata_props: vec![] }
}

fn built(model: &Model) -> Result<Graph, String> {
    build_from_bytes(&model.encode_to_vec(), Path::new("."), &problem())
}

/// The error for a file that differs in its graph.
fn refused(change: impl FnOnce(&mut OnnxGraph)) -> String {
    let mut model = good();
    change(model.graph.as_mut().unwrap());
    built(&model).unwrap_err()
}

#[test]
fn a_good_file_is_a_network() {
    let network = built(&good()).unwrap().check(&problem()).unwrap();
    let names: Vec<&str> = network.params().iter().map(|param| param.name.as_str()).collect();
    assert_eq!((names, network.n_params()), (vec!["fc.weight", "fc.bias"], 10));
}

#[test]
fn no_cut_of_a_file_makes_it_panic() {
    let bytes = good().encode_to_vec();
    for end in 0..bytes.len() {
        // a cut at the end of a field is a smaller file
        if let Ok(graph) = build_from_bytes(&bytes[..end], Path::new("."), &problem()) {
            let _ = graph.check(&problem());
        }
    }
    assert!(build_from_bytes(b"", Path::new("."), &problem()).unwrap_err().contains("no ONNX file"));
    assert!(
        build_from_bytes(b"PK\x03\x04", Path::new("."), &problem()).unwrap_err().contains("no ONNX file")
    );
}

#[test]
fn all_that_is_not_known_is_named_at_once() {
    let error = refused(|graph| {
        graph.node[0] = Node { name: "first".into(), ..node("Einsum", &["x"], "h") };
        graph.node.insert(1, node("LSTM", &["x"], "z"));
        graph.node[2] = node("Sum", &["h", "z"], "p");
    });
    assert!(error.contains("node `first` (Einsum): this operator is not known"), "{error}");
    assert!(
        error.contains("node `z` (LSTM)") && !error.contains("(Sum)") && !error.contains("(Add)"),
        "{error}"
    );
}

#[test]
fn cycles_and_lost_values_are_refused() {
    let cyclic = refused(|graph| graph.node[0].input[0] = "p".into());
    assert!(cyclic.contains("node `h` (Relu) reads `p`, which is computed later"), "{cyclic}");
    let lost = refused(|graph| graph.node[1].input[0] = "nothing".into());
    assert_eq!(lost, "nothing computes `nothing`");
    let twice = refused(|graph| graph.node[1].output[0] = "h".into());
    assert_eq!(twice, "two nodes compute `h`");
    let outputs = refused(|graph| graph.output.clear());
    assert_eq!(outputs, "the graph has no output");
}

#[test]
fn sizes_that_overflow_are_refused() {
    let huge = refused(|graph| graph.initializer[0].dims = vec![i64::MAX, 4]);
    assert!(huge.contains("`fc.weight` has the shape"), "{huge}");
    let negative = refused(|graph| graph.initializer[1].dims = vec![-2]);
    assert!(negative.contains("`fc.bias` has the shape [-2]"), "{negative}");
    let expanded = refused(|graph| {
        let shape = Tensor {
            data_type: 7,
            int64_data: vec![i64::MAX, i64::MAX],
            float_data: vec![],
            ..tensor("s", &[2])
        };
        graph.initializer.push(shape);
        graph.initializer.push(tensor("one", &[1]));
        graph.node.insert(0, node("Expand", &["one", "s"], "e"));
        graph.node[1].input.push("e".into());
    });
    assert!(expanded.contains("(Expand)"), "{expanded}");
    let many = refused(|graph| graph.node = vec![node("Relu", &["x"], "h"); 1_000_000]);
    assert!(many.contains("1000000 nodes, at most"), "{many}");
}

#[test]
fn shared_parameters_are_refused() {
    let error = refused(|graph| {
        graph.initializer[0] = tensor("fc.weight", &[4, 4]);
        graph.node.insert(1, node("MatMul", &["h", "fc.weight"], "h2"));
        graph.node[2].input[0] = "h2".into();
    });
    assert!(error.contains("`fc.weight` belongs to `fc` too"), "{error}");
}

#[test]
fn external_data_stay_in_the_folder_of_the_file() {
    let dir = std::env::temp_dir().join(format!("sgdwalk-onnx-{}", std::process::id()));
    let inside = dir.join("inside");
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::write(dir.join("secret"), [0; 32]).unwrap();
    std::fs::write(inside.join("weights"), [0; 32]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.join("secret"), inside.join("link")).unwrap();
    let read = |location: &str, offset: &str, length: &str| {
        let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
        let external_data =
            vec![entry("location", location), entry("offset", offset), entry("length", length)];
        let mut model = good();
        model.graph.as_mut().unwrap().initializer[0] =
            Tensor { float_data: vec![], data_location: 1, external_data, ..tensor("fc.weight", &[4, 2]) };
        std::fs::write(inside.join("net.onnx"), model.encode_to_vec()).unwrap();
        let options = OnnxOptions { file: inside.join("net.onnx") };
        initial_values(&options, &problem())
    };
    assert_eq!(read("weights", "0", "32").unwrap()[0].values, [0.0; 8]);
    assert!(read("../secret", "0", "32").unwrap_err().contains("lie outside of the file's folder"));
    assert!(read("weights", "8", "32").unwrap_err().contains("end at byte 40 of 32"));
    assert!(read("weights", "0", "16").unwrap_err().contains("has 4 values, expected 8"));
    assert!(read("weights", "18446744073709551615", "32").is_err());
    if cfg!(unix) {
        assert!(read("link", "0", "32").unwrap_err().contains("lie outside of the file's folder"));
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Files as PyTorch's exporter writes them, of the problem of CIFAR-10.
const EXPORTED: [&[u8]; 3] = [
    include_bytes!("../../../tests/fixtures/onnx/plain_cnn.onnx"),
    include_bytes!("../../../tests/fixtures/onnx/vit_attention.onnx"),
    include_bytes!("../../../tests/fixtures/onnx/vgg_group_norm.onnx"),
];

proptest! {
    #[test]
    fn no_flip_makes_it_panic(
        file in 0..4usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let cifar10 = Problem { input: vec![3, 32, 32], classes: 10 };
        let (mut bytes, problem) =
            EXPORTED.get(file).map_or_else(|| (good().encode_to_vec(), problem()), |bytes| (bytes.to_vec(), cifar10));
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= value;
        }
        if let Ok(graph) = build_from_bytes(&bytes, Path::new("."), &problem) {
            let _ = graph.check(&problem);
        }
    }
}
