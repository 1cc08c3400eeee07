//! The C boundary between host and plugin.
//!
//! # Contract (ABI 1)
//! 1. A plugin library exports one function, [`SYMBOL`], which takes no arguments and returns a pointer to a
//!    [`PluginTable`] that lives as long as the library, which is never unloaded.
//! 2. The table starts with `abi_version` and `struct_size`; the host reads nothing else before it has checked
//!    both. New fields go last; `struct_size` says whether they exist.
//! 3. Pointers that the host passes are valid during the call and must not be kept: nobody writes to
//!    `request[..request_len]`, and `out` points to a [`Buffer`] that only the called function writes.
//! 4. The host allocates and frees every buffer. A function that needs more room than `capacity` writes
//!    nothing, sets `len` to the size it needs and returns [`Status::BufferTooSmall`]; the host calls it again.
//! 5. No panic escapes from a function: each runs under [`guard`].
//! 6. Bytes are UTF-8 JSON: a [`PluginInfo`] from `describe`, a [`Graph`] from
//!    `build`, a [`Request`] to `build`; with [`Status::Failed`] and [`Status::Panicked`], they are an error message.
//! 7. `initial_values`, which a table may lack, takes the [`Request`] of `build` and writes the parameters and buffers from which
//!    the graph starts: the length of a header in bytes, as a 64-bit integer, the header, a JSON list of names and shapes, and
//!    the values of all as 32-bit floats, one after another; numbers are little-endian.
#![expect(unsafe_code, reason = "this module is the C boundary")]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use crate::{Graph, InitialValues, OptionValues, Options, PluginInfo, Problem, initial_values};

/// Version of the contract above. It changes only with the contract, not with releases.
pub const ABI_VERSION: u32 = 1;

/// Name of the exported function, of type [`EntryFn`].
pub const SYMBOL: &str = "walk_plugin";

/// Type of the exported function.
pub type EntryFn = extern "C" fn() -> *const PluginTable;

/// The functions of a plugin.
#[repr(C)]
#[derive(Debug)]
pub struct PluginTable {
    /// [`ABI_VERSION`] of the walk-arch that the plugin was built with.
    pub abi_version: u32,
    /// Size of this struct in bytes when the plugin was built.
    pub struct_size: u32,
    /// Writes the plugin's [`PluginInfo`].
    pub describe: unsafe extern "C" fn(out: *mut Buffer) -> i32,
    /// Reads a [`Request`], writes the [`Graph`].
    pub build: unsafe extern "C" fn(request: *const u8, request_len: usize, out: *mut Buffer) -> i32,
    /// Reads a [`Request`], writes parameters and buffers (point 7).
    pub initial_values: unsafe extern "C" fn(request: *const u8, request_len: usize, out: *mut Buffer) -> i32,
}

/// A buffer for output, owned by the host.
#[repr(C)]
#[derive(Debug)]
pub struct Buffer {
    /// Start of `capacity` writable bytes.
    pub data: *mut u8,
    /// Capacity in bytes.
    pub capacity: usize,
    /// Bytes written, or needed.
    pub len: usize,
}

/// The status returned by a plugin function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// The buffer contains the result.
    Ok = 0,
    /// Nothing was written; `len` is the required capacity.
    BufferTooSmall = 1,
    /// A pointer was null.
    NullPointer = 2,
    /// The buffer contains an error message.
    Failed = 3,
    /// The plugin panicked; the buffer contains the message.
    Panicked = 4,
}

/// The input of `build`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Input shape and classes.
    pub problem: Problem,
    /// Options that differ from their defaults.
    pub options: OptionValues,
}

/// The interface that a plugin implements; [`export_plugin!`](crate::export_plugin) implements it.
pub trait Plugin {
    /// The plugin's options.
    type Options: Options;
    /// Its name in tables.
    const NAME: &'static str;
    /// A one-line description.
    const ABOUT: &'static str;
    /// The graph for these options.
    ///
    /// # Errors
    /// A message if the options are inconsistent or do not fit the problem.
    fn build(options: &Self::Options, problem: &Problem) -> Result<Graph, String>;
    /// The parameters and buffers that the graph starts from, if the plugin has any.
    ///
    /// # Errors
    /// A message, if it has none or they cannot be read.
    fn initial_values(_options: &Self::Options, _problem: &Problem) -> Result<Vec<InitialValues>, String> {
        Err("it has no initial values; remove `init.from = \"plugin\"`".into())
    }
}

/// The table of plugin `P`.
pub const fn table<P: Plugin>() -> PluginTable {
    PluginTable {
        abi_version: ABI_VERSION,
        struct_size: size_of::<PluginTable>() as u32,
        describe: describe::<P>,
        build: build::<P>,
        initial_values: initial_values::<P>,
    }
}

/// # Safety
/// `out` as required by the contract's point 3.
unsafe extern "C" fn describe<P: Plugin>(out: *mut Buffer) -> i32 {
    // SAFETY: the caller keeps point 3
    unsafe {
        guard(out, || {
            let (name, about) = (P::NAME.into(), P::ABOUT.trim().into());
            to_json(&PluginInfo { name, about, options: P::Options::specs() })
        })
    }
}

/// # Safety
/// `request` and `out` as required by the contract's point 3.
unsafe extern "C" fn build<P: Plugin>(request: *const u8, request_len: usize, out: *mut Buffer) -> i32 {
    // SAFETY: the caller keeps point 3
    unsafe {
        respond::<P>(request, request_len, out, |options, problem| to_json(&P::build(options, problem)?))
    }
}

/// # Safety
/// `request` and `out` as required by the contract's point 3.
unsafe extern "C" fn initial_values<P: Plugin>(
    request: *const u8,
    request_len: usize,
    out: *mut Buffer,
) -> i32 {
    // SAFETY: the caller keeps point 3
    unsafe {
        respond::<P>(request, request_len, out, |options, problem| {
            initial_values::to_bytes(&P::initial_values(options, problem)?)
        })
    }
}

/// Reads a request and writes what `work` makes of it.
///
/// # Safety
/// `request` and `out` as required by the contract's point 3.
unsafe fn respond<P: Plugin>(
    request: *const u8,
    request_len: usize,
    out: *mut Buffer,
    work: impl FnOnce(&P::Options, &Problem) -> Result<Vec<u8>, String>,
) -> i32 {
    if request.is_null() {
        return Status::NullPointer as i32;
    }
    // SAFETY: not null; the host keeps request[..request_len] alive and unwritten during the call (point 3)
    let request = unsafe { std::slice::from_raw_parts(request, request_len) };
    // SAFETY: the caller keeps point 3
    unsafe {
        guard(out, || {
            let request: Request =
                serde_json::from_slice(request).map_err(|error| format!("unreadable request: {error}"))?;
            let options = P::Options::from_values(&request.options).map_err(|error| error.to_string())?;
            work(&options, &request.problem)
        })
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
}

/// Runs `work`, catches its panic, and writes its bytes or its message to `out`.
///
/// # Safety
/// `out` is null or points to a [`Buffer`] as required by the contract's point 3.
pub unsafe fn guard(out: *mut Buffer, work: impl FnOnce() -> Result<Vec<u8>, String>) -> i32 {
    if out.is_null() {
        return Status::NullPointer as i32;
    }
    let (status, bytes) = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(bytes)) => (Status::Ok, bytes),
        Ok(Err(message)) => (Status::Failed, message.into_bytes()),
        Err(panic) => (Status::Panicked, panic_message(panic.as_ref()).into_bytes()),
    };
    // SAFETY: not null; the host's, and only this call writes it (point 3)
    let out = unsafe { &mut *out };
    out.len = bytes.len();
    if bytes.len() > out.capacity {
        return Status::BufferTooSmall as i32;
    }
    if out.data.is_null() {
        return Status::NullPointer as i32;
    }
    // SAFETY: `data` has room for `capacity` bytes, at least `bytes.len()`, and is not part of `bytes`
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.data, bytes.len()) };
    status as i32
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Turns a crate into a plugin: implements [`abi::Plugin`](crate::abi::Plugin) and exports the one C symbol. A plugin that has
/// parameters to start from names a function for them after `build`: `initial_values: values`.
///
/// ```
/// use walk_arch::{Activation, Graph, Net, Problem, flatten, linear};
///
/// walk_arch::options! {
///     /// Options of the example.
///     pub struct ExampleOptions {
///         /// width of the hidden layer
///         width: usize = 16, in 1..=4096;
///     }
/// }
///
/// fn build(options: &ExampleOptions, problem: &Problem) -> Result<Graph, String> {
///     let net = Net::new();
///     let mut layers = net.sequential("");
///     layers.push(flatten()).push(linear(options.width)).push(Activation::Relu).push(linear(problem.classes));
///     Ok(net.finish(layers.output()))
/// }
///
/// walk_arch::export_plugin! {
///     /// One hidden layer.
///     name: "example", options: ExampleOptions, build: build
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($(#[doc = $about:literal])+ name: $name:literal, options: $options:ty, build: $build:path
        $(, initial_values: $initial_values:path)? $(,)?) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug)]
        pub struct Exported;

        impl $crate::abi::Plugin for Exported {
            type Options = $options;
            const NAME: &'static str = $name;
            const ABOUT: &'static str = concat!($($about),+);
            fn build(options: &$options, problem: &$crate::Problem) -> Result<$crate::Graph, String> {
                $build(options, problem)
            }
            $(fn initial_values(
                options: &$options,
                problem: &$crate::Problem,
            ) -> Result<Vec<$crate::InitialValues>, String> {
                $initial_values(options, problem)
            })?
        }

        static TABLE: $crate::abi::PluginTable = $crate::abi::table::<Exported>();

        /// The plugin's entry point (walk-arch's ABI, point 1).
        #[unsafe(no_mangle)]
        pub extern "C" fn walk_plugin() -> *const $crate::abi::PluginTable {
            &TABLE
        }
    };
}
