//! Networks from ONNX files.
//!
//! The file is read (`file`), its operators are translated one after another to walk-arch's layers (`translate`), and its
//! weights are handed over under their own names. A value in ONNX has the batch among its dimensions, a layer sees one sample:
//! `value` says how the two go together.

mod attributes;
mod constant;
mod file;
mod proto;
mod translate;
mod value;

use std::path::{Path, PathBuf};

use walk_arch::{Graph, InitialValues, Problem};

use self::file::{Numbers, OnnxFile};
use self::translate::{Stored, translate};

walk_arch::options! {
    /// Options of a network from a file.
    pub struct OnnxOptions {
        /// the ONNX file, as a path from the folder that the command is run in
        file: PathBuf = PathBuf::new();
    }
}

walk_arch::export_plugin! {
    /// a network from an ONNX file, with its weights
    name: "onnx", options: OnnxOptions, build: build, initial_values: initial_values
}

/// The graph of a file's network.
///
/// # Errors
/// Why the file cannot be read or translated.
pub fn build(options: &OnnxOptions, problem: &Problem) -> Result<Graph, String> {
    let file = open(&options.file)?;
    translate(&file, problem)
        .map(|translation| translation.graph)
        .map_err(|problem| at(&options.file, &problem))
}

/// The parameters and buffers in a file.
///
/// # Errors
/// Why the file cannot be read or translated.
pub fn initial_values(options: &OnnxOptions, problem: &Problem) -> Result<Vec<InitialValues>, String> {
    let file = open(&options.file)?;
    let values = || -> Result<Vec<InitialValues>, String> {
        let translation = translate(&file, problem)?;
        translation.stored.iter().map(|stored| stored_values(&file, stored)).collect()
    };
    values().map_err(|problem| at(&options.file, &problem))
}

/// The graph of the network in a file's bytes; weights in other files are looked for in `folder`.
///
/// # Errors
/// Why the bytes cannot be read or translated.
pub fn build_from_bytes(bytes: &[u8], folder: &Path, problem: &Problem) -> Result<Graph, String> {
    translate(&OnnxFile::from_bytes(bytes, folder)?, problem).map(|translation| translation.graph)
}

fn open(path: &Path) -> Result<OnnxFile, String> {
    if path.as_os_str().is_empty() {
        return Err("no file is given; set `model.options.file` to the ONNX file".into());
    }
    OnnxFile::read(path)
}

fn at(path: &Path, problem: &str) -> String {
    format!("{}: {problem}", path.display())
}

/// The values of a parameter or buffer.
fn stored_values(file: &OnnxFile, stored: &Stored) -> Result<InitialValues, String> {
    let Stored { name, transposed } = stored;
    let tensor = file.initializer(name).ok_or("an initializer is lost")?;
    let values: Vec<f32> = match file.numbers(tensor)? {
        Numbers::Float(values) => values.into_iter().map(|x| x as f32).collect(),
        Numbers::Integer(_) => return Err(format!("initializer `{name}` has whole numbers")),
    };
    let mut shape: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
    let values = match shape.as_mut_slice() {
        [rows, columns] if *transposed => {
            let (r, c) = (*rows, *columns);
            (*rows, *columns) = (c, r);
            (0..values.len()).map(|place| values[place % r * c + place / r]).collect()
        }
        _ => values,
    };
    Ok(InitialValues { name: name.clone(), shape, values })
}

#[cfg(test)]
mod tests;
