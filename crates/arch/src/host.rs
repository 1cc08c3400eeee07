//! The host's side of the boundary: calls a plugin's functions and trusts none of their results.
#![expect(unsafe_code, reason = "calls the function pointers of the C boundary")]

use std::mem::offset_of;

use serde::Deserialize;

use crate::abi::{ABI_VERSION, Buffer, PluginTable, Request, Status};
use crate::{Graph, Network, OptionValues, PluginInfo, Problem, initial_values};

/// Size of the first buffer, enough for most answers.
const FIRST_CAPACITY: usize = 64 << 10;
/// Largest answer that is accepted.
const MAX_CAPACITY: usize = 64 << 20;

/// Why a plugin cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum PluginError {
    #[error(
        "it uses plugin ABI {found}, but this program uses {ABI_VERSION}; rebuild it against this walk-arch"
    )]
    AbiVersion { found: u32 },
    #[error(
        "its function table has {found} bytes, expected at least {expected}; rebuild it against this walk-arch"
    )]
    TableSize { found: u32, expected: usize },
    #[error("its function table is null or not aligned")]
    BadTable,
    #[error("`{function}` panicked: {message}")]
    Panicked { function: &'static str, message: String },
    #[error("{message}")]
    Refused { function: &'static str, message: String },
    #[error("`{function}` returned {found}, which is not a status of plugin ABI {ABI_VERSION}")]
    Status { function: &'static str, found: i32 },
    #[error("`{function}` needs a buffer of {len} bytes, but at most {limit} are allowed")]
    TooLong { function: &'static str, len: usize, limit: usize },
    #[error("`{function}` reports that it wrote {len} bytes into a buffer of {capacity}")]
    Overrun { function: &'static str, len: usize, capacity: usize },
    #[error("`{function}` returned bytes that cannot be parsed: {message}")]
    Unreadable { function: &'static str, message: String },
}

/// A plugin whose table passed the first checks.
#[derive(Clone, Copy, Debug)]
pub struct PluginHandle {
    describe: unsafe extern "C" fn(*mut Buffer) -> i32,
    build: RequestFn,
    /// Missing in plugins that were built before it was part of the contract.
    initial_values: Option<RequestFn>,
}

type RequestFn = unsafe extern "C" fn(*const u8, usize, *mut Buffer) -> i32;

impl PluginHandle {
    /// Checks the table's version and size.
    ///
    /// # Errors
    /// [`PluginError::BadTable`], [`PluginError::AbiVersion`] or [`PluginError::TableSize`].
    ///
    /// # Safety
    /// `table` is null or came from a plugin's entry point and obeys the contract of [`crate::abi`]; its library
    /// stays loaded for the rest of the process.
    pub unsafe fn new(table: *const PluginTable) -> Result<Self, PluginError> {
        if table.is_null() || !table.is_aligned() {
            return Err(PluginError::BadTable);
        }
        // SAFETY: not null, aligned; every ABI version starts with these two fields (point 2)
        let (version, size) = unsafe { (*table.cast::<u32>(), *table.cast::<u32>().add(1)) };
        if version != ABI_VERSION {
            return Err(PluginError::AbiVersion { found: version });
        }
        let expected = offset_of!(PluginTable, initial_values);
        if (size as usize) < expected {
            return Err(PluginError::TableSize { found: size, expected });
        }
        // SAFETY: by version and size the table has these fields (point 2)
        let (describe, build) = unsafe { ((*table).describe, (*table).build) };
        let initial_values = (size as usize >= size_of::<PluginTable>()).then(|| {
            // SAFETY: by its size the table has this field too
            unsafe { (*table).initial_values }
        });
        Ok(Self { describe, build, initial_values })
    }

    /// The plugin's name, description and options.
    ///
    /// # Errors
    /// A [`PluginError`] if it violates the contract.
    pub fn describe(&self) -> Result<PluginInfo, PluginError> {
        // SAFETY: `out` is a valid buffer for the length of the call (point 3)
        let bytes = call("describe", MAX_CAPACITY, |out| unsafe { (self.describe)(out) })?;
        parse("describe", &bytes)
    }

    /// The plugin's graph for these options, unchecked.
    ///
    /// # Errors
    /// [`PluginError::Refused`] if the plugin rejects the options, others if it violates the contract.
    pub fn build(&self, problem: &Problem, options: &OptionValues) -> Result<Graph, PluginError> {
        parse("build", &ask("build", self.build, MAX_CAPACITY, problem, options)?)
    }

    /// θ and the buffers that the plugin's network for these options starts from.
    ///
    /// # Errors
    /// [`PluginError::Refused`] if the plugin has none, others if it violates the contract or the values do not fit the network.
    pub fn initial_point(
        &self,
        network: &Network,
        problem: &Problem,
        options: &OptionValues,
    ) -> Result<[Vec<f32>; 2], PluginError> {
        let function = "initial_values";
        let unreadable = |message| PluginError::Unreadable { function, message };
        let message = "it was built before plugins could have initial values; rebuild it".into();
        let entry = self.initial_values.ok_or(PluginError::Refused { function, message })?;
        // the values themselves, and a header like the description of the network
        let limit = 4 * (network.n_params() + network.n_buffers()) + MAX_CAPACITY;
        let bytes = ask(function, entry, limit, problem, options)?;
        network.initial_point(&initial_values::from_bytes(&bytes).map_err(unreadable)?).map_err(unreadable)
    }
}

/// Calls a function that takes a request.
fn ask(
    function: &'static str,
    entry: RequestFn,
    limit: usize,
    problem: &Problem,
    options: &OptionValues,
) -> Result<Vec<u8>, PluginError> {
    let request = Request { problem: problem.clone(), options: options.clone() };
    let request = serde_json::to_vec(&request).map_err(|error| unreadable(function, &error))?;
    call(function, limit, |out| {
        // SAFETY: `request` and `out` are valid for the length of the call (point 3)
        unsafe { entry(request.as_ptr(), request.len(), out) }
    })
}

fn unreadable(function: &'static str, error: &serde_json::Error) -> PluginError {
    PluginError::Unreadable { function, message: error.to_string() }
}

fn parse<T: for<'de> Deserialize<'de>>(function: &'static str, bytes: &[u8]) -> Result<T, PluginError> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(function, &error))
}

/// Calls a function with a buffer, and again with a larger one if the first was too small.
fn call(
    function: &'static str,
    limit: usize,
    ask: impl Fn(*mut Buffer) -> i32,
) -> Result<Vec<u8>, PluginError> {
    let mut bytes = vec![0u8; FIRST_CAPACITY];
    for _ in 0..2 {
        let capacity = bytes.len();
        let mut out = Buffer { data: bytes.as_mut_ptr(), capacity, len: 0 };
        let status = ask(&raw mut out);
        let len = out.len;
        if status == Status::BufferTooSmall as i32 {
            if len > limit {
                return Err(PluginError::TooLong { function, len, limit });
            }
            bytes = vec![0; len];
            continue;
        }
        if len > capacity {
            return Err(PluginError::Overrun { function, len, capacity });
        }
        bytes.truncate(len);
        let message = || String::from_utf8_lossy(&bytes).into_owned();
        return match status {
            s if s == Status::Ok as i32 => Ok(bytes),
            s if s == Status::Failed as i32 => Err(PluginError::Refused { function, message: message() }),
            s if s == Status::Panicked as i32 => Err(PluginError::Panicked { function, message: message() }),
            found => Err(PluginError::Status { function, found }),
        };
    }
    Err(PluginError::Status { function, found: Status::BufferTooSmall as i32 })
}

#[cfg(test)]
mod tests;
