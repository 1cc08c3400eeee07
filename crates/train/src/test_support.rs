//! Helpers shared by tests.

use walk_record::{RecordError, Row};

use crate::{Position, Sink};

/// Keeps every row.
#[derive(Default)]
pub(crate) struct Rows(pub(crate) Vec<Row>);

impl Sink for Rows {
    fn row(&mut self, row: &Row) -> Result<(), RecordError> {
        self.0.push(row.clone());
        Ok(())
    }

    fn begins(&mut self, _: Position, _: &'static str) {}
}
