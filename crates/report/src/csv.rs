//! Comma-separated values.

use crate::ReportError;

/// Records as the bytes of a file.
pub(crate) fn bytes(records: &[Vec<String>]) -> Result<Vec<u8>, ReportError> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(vec![]);
    records.iter().try_for_each(|record| writer.write_record(record))?;
    writer.into_inner().map_err(|error| ReportError::Csv(error.into_error().into()))
}
