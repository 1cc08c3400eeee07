//! Runs shown together: those that differ by their seeds alone are one setting, of which tables and figures show the mean and
//! the standard deviation over seeds.

mod curves;
mod dependence;
mod differences;
mod endpoints;
mod grouping;
mod panels;
mod setting;
mod tables;

pub use self::setting::Comparison;
pub(crate) use self::tables::RunTables;
