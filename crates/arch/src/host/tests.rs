use super::*;
use crate::abi::{Plugin, guard, table};
use crate::{Activation, Net, Op, flatten, linear};

crate::options! {
    /// Options of the test plugin.
    pub(crate) struct TestOptions {
        /// width of the hidden layer
        width: usize = 5, in 1..=100_000;
        /// layers, to make the answer long
        depth: usize = 1, in 1..=100_000;
    }
}

struct Good;

impl Plugin for Good {
    type Options = TestOptions;
    const NAME: &'static str = "good";
    const ABOUT: &'static str = "a test";
    fn build(options: &TestOptions, problem: &Problem) -> Result<Graph, String> {
        assert!(options.width != 13, "thirteen is not a width");
        if options.width == 14 {
            return Err("nor is fourteen".into());
        }
        let net = Net::new();
        let mut layers = net.sequential("");
        layers.push(flatten());
        for _ in 0..options.depth {
            layers.push(linear(options.width)).push(Activation::Relu);
        }
        layers.push(linear(problem.classes));
        Ok(net.finish(layers.output()))
    }
}

static GOOD: PluginTable = table::<Good>();

fn problem() -> Problem {
    Problem { input: vec![1, 2, 2], classes: 3 }
}

fn handle(table: &'static PluginTable) -> Result<PluginHandle, PluginError> {
    // SAFETY: the tests' tables are static and keep the contract as far as the test wants
    unsafe { PluginHandle::new(table) }
}

fn width(n: usize) -> OptionValues {
    OptionValues::from_iter([("width".to_owned(), n.into())])
}

#[test]
fn describes_and_builds() {
    let plugin = handle(&GOOD).unwrap();
    let info = plugin.describe().unwrap();
    assert_eq!((info.name.as_str(), info.options.len()), ("good", 2));
    let network = plugin.build(&problem(), &width(7)).unwrap().check(&problem()).unwrap();
    assert_eq!(network.layers()[2].shape, [7]);
}

#[test]
fn an_answer_longer_than_the_first_buffer_arrives() {
    let options = OptionValues::from_iter([("depth".to_owned(), 1000.into())]);
    let graph = handle(&GOOD).unwrap().build(&problem(), &options).unwrap();
    assert_eq!(graph.nodes.len(), 2003);
}

#[test]
fn a_panic_and_a_refusal_are_errors() {
    let plugin = handle(&GOOD).unwrap();
    let panicked = plugin.build(&problem(), &width(13)).unwrap_err();
    assert_eq!(panicked.to_string(), "`build` panicked: thirteen is not a width");
    assert_eq!(plugin.build(&problem(), &width(14)).unwrap_err().to_string(), "nor is fourteen");
    let unknown = plugin.build(&problem(), &OptionValues::from_iter([("widht".to_owned(), 1.into())]));
    assert!(unknown.unwrap_err().to_string().contains("did you mean `width`?"));
}

#[test]
fn another_abi_version_or_a_short_table_is_refused() {
    static OTHER: PluginTable = PluginTable { abi_version: 99, ..table::<Good>() };
    static SHORT: PluginTable = PluginTable { struct_size: 8, ..table::<Good>() };
    assert_eq!(handle(&OTHER).unwrap_err(), PluginError::AbiVersion { found: 99 });
    assert!(matches!(handle(&SHORT).unwrap_err(), PluginError::TableSize { found: 8, .. }));
    // SAFETY: null is allowed
    assert_eq!(unsafe { PluginHandle::new(std::ptr::null()) }.unwrap_err(), PluginError::BadTable);
}

unsafe extern "C" fn always_short(out: *mut Buffer) -> i32 {
    // SAFETY: the host passes a valid buffer
    unsafe { (*out).len = (*out).capacity + 1 };
    Status::BufferTooSmall as i32
}
unsafe extern "C" fn overrun(out: *mut Buffer) -> i32 {
    // SAFETY: the host passes a valid buffer
    unsafe { (*out).len = usize::MAX };
    Status::Ok as i32
}
unsafe extern "C" fn greedy(out: *mut Buffer) -> i32 {
    // SAFETY: the host passes a valid buffer
    unsafe { (*out).len = usize::MAX };
    Status::BufferTooSmall as i32
}
unsafe extern "C" fn strange(_: *mut Buffer) -> i32 {
    77
}
unsafe extern "C" fn garbage(out: *mut Buffer) -> i32 {
    // SAFETY: the host passes a valid buffer
    unsafe { guard(out, || Ok(vec![0xff, 0, b'{'])) }
}

#[test]
fn hostile_answers_end_in_errors() {
    type Describe = unsafe extern "C" fn(*mut Buffer) -> i32;
    let error = |describe: Describe| {
        let table = Box::leak(Box::new(PluginTable { describe, ..table::<Good>() }));
        handle(table).unwrap().describe().unwrap_err()
    };
    assert!(matches!(error(always_short), PluginError::Status { found: 1, .. }));
    assert!(matches!(error(overrun), PluginError::Overrun { .. }));
    assert!(matches!(error(greedy), PluginError::TooLong { .. }));
    assert!(matches!(error(strange), PluginError::Status { found: 77, .. }));
    assert!(matches!(error(garbage), PluginError::Unreadable { .. }));
}

unsafe extern "C" fn nan_graph(_: *const u8, _: usize, out: *mut Buffer) -> i32 {
    let mut norm = crate::batch_norm();
    norm.eps = f32::NAN;
    let net = Net::new();
    let graph = net.finish(net.input().then("bn", Op::BatchNorm(norm)));
    // SAFETY: the host passes a valid buffer
    unsafe { guard(out, || serde_json::to_vec(&graph).map_err(|error| error.to_string())) }
}

#[test]
fn a_graph_with_nan_is_refused() {
    static NAN: PluginTable = PluginTable { build: nan_graph, ..table::<Good>() };
    let answer = handle(&NAN).unwrap().build(&problem(), &OptionValues::new());
    assert!(matches!(answer, Err(PluginError::Unreadable { function: "build", .. })));
}
