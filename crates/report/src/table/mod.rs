//! Tables: their contents, and how they look in terminals and documents.

mod cell;
mod column;
mod document;
mod grid;
mod terminal;

pub use self::cell::{Cell, Format};
pub(crate) use self::cell::{
    decimals, epochs, epochs_of, estimate, of_all, percent, scientific, share, short, times,
};
pub use self::column::{Column, Role};
pub(crate) use self::column::{detail, main, name, place, remark, result, words};
pub use self::grid::Table;
pub use self::terminal::{Extent, wrap};
