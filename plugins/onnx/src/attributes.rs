//! The attributes of a node.

use crate::file::OnnxFile;
use crate::proto::{Attribute, Node};

/// The attributes of a node of a file.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    pub(crate) node: &'a Node,
    pub(crate) file: &'a OnnxFile,
}

impl<'a> Attributes<'a> {
    pub(crate) fn find(&self, name: &str) -> Option<&'a Attribute> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(crate) fn integer(&self, name: &str, default: i64) -> i64 {
        self.find(name).map_or(default, |attribute| attribute.i)
    }

    pub(crate) fn number(&self, name: &str, default: f32) -> f32 {
        self.find(name).map_or(default, |attribute| attribute.f)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a [u8]> {
        self.find(name).map(|attribute| attribute.s.as_slice())
    }

    pub(crate) fn integers(&self, name: &str) -> Option<&'a [i64]> {
        self.find(name).map(|attribute| attribute.ints.as_slice())
    }

    /// Two numbers, of both dimensions of an image.
    pub(crate) fn pair(&self, name: &str, default: usize) -> Result<[usize; 2], String> {
        let Some(values) = self.integers(name) else { return Ok([default; 2]) };
        let pair = values.iter().map(|&value| place(value)).collect::<Option<Vec<usize>>>();
        let pair: Option<[usize; 2]> = pair.and_then(|pair| pair.try_into().ok());
        pair.ok_or_else(|| format!("`{name}` = {values:?}, expected two numbers"))
    }
}

/// A size or a place of a window, if it is one that an image can have.
pub(crate) fn place(value: i64) -> Option<usize> {
    usize::try_from(value).ok().filter(|&value| value <= 1 << 20)
}
