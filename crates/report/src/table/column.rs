//! The columns of tables.

use std::borrow::Cow;

use super::cell::Cell;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its machine-readable name, in snake case.
    pub key: Cow<'static, str>,
    /// The title shown to readers.
    pub title: Cow<'static, str>,
    /// The role of its cells.
    pub role: Role,
}

/// The role of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Which run or setting the row is about.
    Name,
    /// Where in the run: an epoch, an update, a batch size.
    Place,
    /// A result, by which settings are compared.
    Result,
    /// A number shown next to the results.
    Main,
    /// Like [`Role::Main`], but text.
    Words,
    /// A detail, left out if there is no room.
    Detail,
    /// Like [`Role::Detail`], but text.
    Remark,
}

/// A column of a table with one line for every row of a kind.
pub(crate) struct Field<T> {
    pub(super) column: Column,
    /// Its cell for a row.
    pub(super) cell: fn(&T) -> Cell,
}

impl Column {
    /// A column under a key and a title.
    pub fn new(key: impl Into<Cow<'static, str>>, title: impl Into<Cow<'static, str>>, role: Role) -> Self {
        Self { key: key.into(), title: title.into(), role }
    }

    /// The column with these cells.
    pub(crate) const fn of<T>(self, cell: fn(&T) -> Cell) -> Field<T> {
        Field { column: self, cell }
    }
}

/// A column that says which run or setting a row is about.
pub(crate) fn name(key: &'static str, title: &'static str) -> Column {
    Column::new(key, title, Role::Name)
}

/// A column that says where in the run.
pub(crate) fn place(key: &'static str, title: &'static str) -> Column {
    Column::new(key, title, Role::Place)
}

/// A column of results.
pub(crate) fn result(key: &'static str, title: &'static str) -> Column {
    Column::new(key, title, Role::Result)
}

/// A column shown next to the results.
pub(crate) fn main(key: &'static str, title: &'static str) -> Column {
    Column::new(key, title, Role::Main)
}

/// A text column that is a main column of the table.
pub(crate) fn words(key: &'static str, title: &'static str) -> Column {
    Column::new(key, title, Role::Words)
}

/// A text column that can be left out if there is no room.
pub(crate) fn remark(key: &'static str, title: &'static str) -> Column {
    Column::new(key, title, Role::Remark)
}

/// A column that can be left out if there is no room.
pub(crate) fn detail(key: &'static str, title: &'static str) -> Column {
    Column::new(key, title, Role::Detail)
}

impl Role {
    /// Whether its cells can be left out if there is no room.
    pub(super) const fn is_optional(self) -> bool {
        matches!(self, Self::Detail | Self::Remark)
    }

    /// Whether its cells are text, which is left-aligned.
    pub(crate) const fn is_left(self) -> bool {
        matches!(self, Self::Name | Self::Words | Self::Remark)
    }
}
