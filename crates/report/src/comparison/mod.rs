//! Runs shown together: those that differ only in their seeds form one setting, for which tables and figures show the mean and
//! the standard deviation over seeds.

mod curves;
mod dependence;
mod differences;
mod endpoints;
mod grouping;
mod panels;
mod setting;
mod tables;

pub use self::setting::{Comparison, Setting};
pub(crate) use self::tables::RunTables;
